"""clipspect: zero-shot and few-shot visual inspection with CLIP, compiled for the edge.

    inspector = clipspect.load("nuts.bundle", recipe="metal nut")
    result = inspector.inspect("part.png")
    result.score, result.anomaly_map, result.verdict, result.regions, result.timings

The public names stand in `__init__.pyi`, and are imported on first use: `import clipspect` loads no engine.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
