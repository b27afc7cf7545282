"""The file that holds the weights of a bundle's graphs: what several of them need is there once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx_ir as ir

INLINE_UP_TO = 256  # bytes; smaller tensors stay in the ONNX file
ALIGNMENT = 64  # bytes: a cache line, and a multiple of every element


class DataFile:
    """ONNX external data that graphs in the same folder share. It only grows: what one graph refers to stays."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offsets: dict[bytes, int] = {}  # by SHA-256 of the content

    def take_weights(self, graph: ir.Graph) -> None:
        """Move a graph's initializers here. Equal content, of whatever graph, is written once.

        What lies in another file of the folder stays there: it is shared with the graph that it was written for.
        """
        with self.path.open("ab" if self._offsets else "wb") as file:
            for value in graph.initializers.values():
                tensor = value.const_value
                if tensor is None or tensor.nbytes <= INLINE_UP_TO or self._beside(tensor):
                    continue
                content = tensor.tobytes()
                digest = hashlib.sha256(content).digest()
                if digest not in self._offsets:
                    file.write(bytes(-file.tell() % ALIGNMENT))
                    self._offsets[digest] = file.tell()
                    file.write(content)
                value.const_value = ir.ExternalTensor(
                    self.path.name,
                    self._offsets[digest],
                    len(content),
                    tensor.dtype,
                    shape=tensor.shape,  # type: ignore[arg-type]  # an initializer's is static
                    name=value.name or "",
                    base_dir=self.path.parent,
                )

    def _beside(self, tensor: ir.TensorProtocol) -> bool:
        return isinstance(tensor, ir.ExternalTensor) and Path(tensor.path).parent == self.path.parent
