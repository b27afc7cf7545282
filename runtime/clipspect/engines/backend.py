"""What a graph in an engine is to the rest of the house, and all checks of what goes in and comes out, once."""

from __future__ import annotations

import ctypes
import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from clipspect.base.errors import BackendError
from clipspect.engines.graph import ANY, Graph, Signature, TensorSpec

Tensors = Mapping[str, npt.NDArray[Any]]
Arrays = dict[str, npt.NDArray[Any]]
Lengths = dict[str, int]  # what the names of dynamic dimensions stand for in a run

_MOST_CHARACTERS = 300  # of an engine's own words in a message
_B = TypeVar("_B", bound="Backend")
_S = TypeVar("_S")


class Backend(ABC):
    """A graph loaded into an engine, on one device. Close it, or use it as a context manager.

    One run at a time: whoever shares a backend between threads holds a lock during `run` and `close`, as
    `clipspect.Inspector` does. A backend serves the process that made it, no process that was forked from that.

    An engine's own class passes `__init__` what the engine says of its inputs and outputs, and implements `_run` and
    `_close`, and `_profile` where its options have `profile`; they are called only when all checks have passed.
    """

    name: ClassVar[str]  # of the engine
    length_step: ClassVar[int] = 1  # lengths that are multiples of it cost no more memory than their largest

    def __init__(
        self, own: Signature, graph: Graph | None, *, device: str, precision: str, most_images: int | None = None
    ) -> None:
        """`own` is what the engine says of its tensors, `graph` what the manifest says of them, where there is one.

        Raises BackendError where the two do not agree.
        """
        self.device = device  # "cpu", or what the engine calls the other devices
        self.precision = precision  # of the matrix products: "fp32", "bf16", "fp16" or "int8"
        self.most_images = most_images  # of a run; None: any number
        self.reason = ""  # why it was taken, where it was not named
        if graph is not None:
            _require_agreement(self.name, graph, own)
        self._graph = graph
        self._inputs = own.inputs if graph is None else graph.inputs
        self._outputs = tuple(own.outputs if graph is None else graph.outputs)
        self._process = os.getpid()
        self._closed = False
        _OPEN.add(self)

    def run(self, inputs: Tensors, outputs: Sequence[str] | None = None) -> Arrays:
        """The graph's outputs by name, all or those that are asked for, as arrays of the caller's own.

        Inputs must have the names, types and shapes that the graph takes; an array that is read-only is taken for a
        constant: where the device has memory of its own, it travels there once and not with every run. Outputs that
        nobody asks for are not fetched from the engine. Where the manifest's graph is known, the answer has its types
        and shapes, with as many scores as images. Raises BackendError.
        """
        self.require_usable()
        lengths = self._check_inputs(inputs)
        names = self._outputs if outputs is None else tuple(outputs)
        if unknown := [name for name in names if name not in self._outputs]:
            raise BackendError(f"{self.name}: the graph answers {_listed(self._outputs)}, asked for {unknown[0]}")
        try:
            answer = self._run(inputs, names)
        except BackendError:
            raise
        except Exception as error:  # engines' exceptions have no common base
            raise BackendError(f"{self.name} failed on {self.device}: {self._words(error)}") from error
        self._check_answer(answer, names, lengths)
        return answer

    def run_finite(self, inputs: Tensors, outputs: Sequence[str] | None = None) -> Arrays:
        """As `run`, for answers that are used: raises BackendError for NaN and infinity, too."""
        return self.require_finite(self.run(inputs, outputs))

    def require_finite(self, answer: Arrays) -> Arrays:
        """The answer, if it holds numbers. Raises BackendError for NaN and infinity."""
        for name, values in answer.items():
            if not np.isfinite(values).all():
                raise BackendError(
                    f"{self.name} on {self.device} answered NaN or infinity in {name}: run clipspect doctor"
                )
        return answer

    def profile(self) -> dict[str, float]:
        """Milliseconds by kind of operator, of engines whose options have `profile`. Raises BackendError without it."""
        self.require_usable()
        return self._profile()

    def require_usable(self) -> None:
        """Raises BackendError where the backend is closed, or this process is not the one that made it."""
        if self._closed:
            raise BackendError(f"the {self.name} backend is closed: load the bundle again")
        self.require_own_process()

    @property
    def is_forked(self) -> bool:
        """Whether this process was forked from the one that made it: locks may be held there for ever."""
        return os.getpid() != self._process

    def require_own_process(self) -> None:
        """Raises BackendError in a process that was forked from the one that made it."""
        if self.is_forked:
            raise BackendError(
                f"the {self.name} backend was loaded in process {self._process}, and this is process {os.getpid()}: "
                "an engine's threads do not survive a fork; load the bundle in the process that inspects"
            )

    def close(self) -> None:
        """Release the engine. In a forked process this does nothing: without its threads, an engine crashes there."""
        if not self._closed and not self.is_forked:
            self._closed = True
            _OPEN.discard(self)
            self._close()

    def __enter__(self: _B) -> _B:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what an engine's own class says ---

    @abstractmethod
    def _run(self, inputs: Tensors, outputs: Sequence[str]) -> Arrays:
        """These outputs by name, arrays that no other run writes to. What it raises becomes a BackendError."""

    @abstractmethod
    def _close(self) -> None:
        """Let go of the engine. Called once."""

    def _profile(self) -> dict[str, float]:
        raise BackendError(f"{self.name} does not time operators: take another backend for that")

    def _words(self, error: Exception) -> str:
        """An exception of the engine in one line."""
        return one_line(error)

    # --- the checks ---

    def _check_inputs(self, inputs: Tensors) -> Lengths:
        """Raises BackendError unless these are the graph's inputs; what its dynamic dimensions are in this run."""
        if inputs.keys() != self._inputs.keys():
            raise BackendError(f"{self.name}: the graph takes {_listed(self._inputs)}, found {_listed(inputs)}")
        lengths: Lengths = {}
        for name, spec in self._inputs.items():
            if found := _mismatch(inputs[name], spec, lengths):
                raise BackendError(f"{self.name}: the graph takes {name} as {found}")
        return lengths

    def _check_answer(self, answer: Arrays, names: Sequence[str], lengths: Lengths) -> None:
        """Raises BackendError unless the answer is what was asked for, and what the manifest says of it."""
        where = f"{self.name} on {self.device}"
        if answer.keys() != set(names):
            raise BackendError(f"{where} answered {_listed(answer) or 'nothing'}, expected {_listed(names)}")
        if self._graph is None:
            return
        for name in names:
            if found := _mismatch(answer[name], self._graph.outputs[name], lengths):
                raise BackendError(
                    f"{where} answered another {name} than the manifest of {self._graph.file} says: expected {found}: "
                    "export the bundle again"
                )


_OPEN: weakref.WeakSet[Backend] = weakref.WeakSet()
_SHARED: list[object] = []  # what an engine has once for all of its backends, as long as the process lives


def shared_by_backends(engine: _S) -> _S:
    """The object, which is then not freed in a process that was forked."""
    _SHARED.append(engine)
    return engine


def _keep_in_forked_process() -> None:
    """Never free an engine in a process that was forked: it would wait for its threads, which are gone, or crash."""
    for kept in (*_OPEN, *_SHARED):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_in_forked_process)


def one_line(error: BaseException) -> str:
    """An engine's message without its line breaks, cut where it rambles."""
    return " ".join(str(error).split())[:_MOST_CHARACTERS]


def _mismatch(array: npt.NDArray[Any], spec: TensorSpec, lengths: Lengths) -> str:
    """What is expected and what was found instead; empty where it fits. Dimensions of one name have one length."""
    if array.dtype != spec.dtype:
        return f"{spec.dtype}, found {array.dtype}"
    if not spec.shape or _fits(array.shape, spec.shape, lengths):
        return ""
    expected = [lengths.get(side, side) if isinstance(side, str) else side for side in spec.shape]
    return f"{_shape_words(expected)}, found {_shape_words(array.shape)}"


def _fits(found: tuple[int, ...], shape: tuple[int | str, ...], lengths: Lengths) -> bool:
    """Whether a tensor can have this shape; the first length of a name is noted, and holds for all that follow."""
    if len(found) != len(shape):
        return False
    for length, side in zip(found, shape):
        if side != ANY and length != (lengths.setdefault(side, length) if isinstance(side, str) else side):
            return False
    return True


def _require_agreement(engine: str, graph: Graph, own: Signature) -> None:
    """Raises BackendError where the engine reads another graph in the file than the manifest says."""
    for verb, said, read in (("takes", graph.inputs, own.inputs), ("answers", graph.outputs, own.outputs)):
        expected, found = (
            {name: f"{name} ({spec.dtype})" for name, spec in tensors.items()} for tensors in (said, read)
        )
        if expected != found:
            raise BackendError(
                f"{engine}: {graph.file} {verb} {_listed(found.values())}, the manifest says "
                f"{_listed(expected.values())}: export the bundle again"
            )
        for name, spec in said.items():
            if not _compatible(spec.shape, read[name].shape):
                raise BackendError(
                    f"{engine}: {graph.file} {verb} {name} as {_shape_words(read[name].shape)}, the manifest says "
                    f"{_shape_words(spec.shape)}: export the bundle again"
                )


def _compatible(said: Sequence[int | str], read: Sequence[int | str]) -> bool:
    """Whether two shapes can be those of one tensor. Names say nothing; () is a shape that is not known."""
    if not read:
        return True
    return len(said) == len(read) and all(
        isinstance(one, str) or isinstance(other, str) or one == other for one, other in zip(said, read)
    )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))


def _shape_words(shape: Sequence[int | str]) -> str:
    return f"({', '.join(map(str, shape))})"
