"""Inference engines behind one protocol: one folder an engine, imported on first use.

A new engine is a row in ENGINES and a folder whose module has

- `Options`, a frozen dataclass of settings with documented defaults: `device`, `threads` and `precision`, and its own;
- `open_session(graph, precision, options, example)`, a Backend for a verified ONNX file that computes in `precision`;
  `example` are inputs as they will come, or None, for engines of fixed shapes;
- `devices()`, what is worth a try when no device is named, the likely fastest first, none that takes minutes to load;
- `probe(graph, inputs)`, a Probe for every device that the engine claims to have.

One whose row says `compiled` loads only what `clipspect compile` built before; it has besides `compile_graph`, `Sizes`
and `ranges_of` for that, and `open_built` for graphs that belong to no bundle.
"""

from clipspect.engines.choice import open_backend as open_backend
from clipspect.engines.engine import CPU as CPU
from clipspect.engines.engine import ENGINES as ENGINES
from clipspect.engines.engine import Backend as Backend
from clipspect.engines.engine import Engine as Engine
from clipspect.engines.engine import Probe as Probe
from clipspect.engines.engine import Tensors as Tensors
from clipspect.engines.telemetry import switch_off as _switch_off

_switch_off()  # whoever imports an engine through this code has imported this package before
