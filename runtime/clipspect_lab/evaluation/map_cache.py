"""The maps of the class in work: in memory as far as they fit, the rest in files.

A map is written to a file only when it does not fit into memory, or when the run may end before its class does: then a
later run goes on from there.
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import numpy as np
import numpy.typing as npt

from clipspect.base.files import atomic_file
from clipspect.host.system import read_memory

MOST_BYTES = 512 << 20  # of maps in memory: 500 of 518 x 518
SHARE = 4  # and at most one part in so many of the memory that is free when the evaluation begins
SAVE_SECONDS = 60.0  # what a run that is killed has to inspect again, at most; one that fails or is stopped saves all


def memory_for_maps() -> int:
    """How many bytes of maps an evaluation holds."""
    memory = read_memory()
    return MOST_BYTES if memory is None else min(MOST_BYTES, memory.available // SHARE)


class MapCache:
    """Maps, float32 (h, w), by a name that a file can have. Not for several threads."""

    def __init__(self, folder: Path, *, lasting: bool, most_bytes: int | None = None) -> None:
        """`lasting`: whether a later run reads the folder. What lies in it from an earlier one is there at once."""
        self._folder, self._lasting = folder, lasting
        self._room = memory_for_maps() if most_bytes is None else most_bytes
        self._held: dict[str, npt.NDArray[np.float32]] = {}
        self._files = {path.stem for path in folder.glob("*.npy")}
        self._saved_at = monotonic()

    def __contains__(self, name: str) -> bool:
        return name in self._held or name in self._files

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        held = self._held.get(name)
        if held is not None:
            return held
        loaded: npt.NDArray[np.float32] = np.load(self._file(name), allow_pickle=False)
        return loaded

    def add(self, name: str, anomaly_map: npt.NDArray[np.float32]) -> None:
        """Keep a map; one of the same name is replaced. Raises ClipspectError."""
        self.drop(name)
        if anomaly_map.nbytes <= self._room:
            self._room -= anomaly_map.nbytes
            self._held[name] = anomaly_map
        else:
            self._write(name, anomaly_map)
        if self._lasting and monotonic() - self._saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write what is in memory alone, where a later run finds it. Raises ClipspectError."""
        if self._lasting:
            for name in self._held.keys() - self._files:
                self._write(name, self._held[name])
        self._saved_at = monotonic()

    def drop(self, name: str) -> None:
        """Forget a map, and remove its file."""
        if (held := self._held.pop(name, None)) is not None:
            self._room += held.nbytes
        if name in self._files:
            self._file(name).unlink(missing_ok=True)
            self._files.remove(name)
            if not self._files and self._folder.is_dir() and not any(self._folder.iterdir()):
                self._folder.rmdir()

    def keep_only(self, names: set[str]) -> None:
        """Remove the files of all others, and what was cut short while it was written."""
        for name in self._files - names:
            self.drop(name)
        for path in self._folder.glob(".*.npy-*"):
            path.unlink()

    def _write(self, name: str, anomaly_map: npt.NDArray[np.float32]) -> None:
        with atomic_file(self._file(name)) as file:
            np.save(file, anomaly_map, allow_pickle=False)
        self._files.add(name)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.npy"
