"""Inference engines behind one base class: one folder an engine, imported on first use.

A new engine is a row of the registry in `engine.py`, or an entry point of another package in the group
`clipspect.engines`, and a folder whose module has

- `Options`, a frozen dataclass of settings with documented defaults: `device`, `threads` and `precision`, and its own;
- `open_session(path, precision, options, example, graph)`, its subclass of `Backend` for a verified ONNX file, which
  computes in `precision`; `example` are inputs as they will come, or None, for engines of fixed shapes; `graph` is what
  the manifest says of the file, or None;
- `devices()`, what is worth a try when no device is named, the likely fastest first, none that takes minutes to load;
- `probe(path, inputs)`, a Probe for every device that the engine claims to have.

The base class does all checks: closed, forked, inputs, answers. An engine whose row says `compiled` loads only what
`clipspect compile` built before; for that it has besides `compile_graph`, `Sizes` and `ranges_of`, and `open_built` for
graphs that belong to no bundle.
"""

from clipspect.engines.backend import Backend as Backend
from clipspect.engines.backend import Tensors as Tensors
from clipspect.engines.choice import open_backend as open_backend
from clipspect.engines.engine import CPU as CPU
from clipspect.engines.engine import Engine as Engine
from clipspect.engines.engine import Probe as Probe
from clipspect.engines.engine import engine_named as engine_named
from clipspect.engines.engine import registry as registry
from clipspect.engines.telemetry import switch_off as _switch_off

_switch_off()  # whoever imports an engine through this code has imported this package before
