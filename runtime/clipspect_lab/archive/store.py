"""The folder of an archive's records: archive.json, SHA256SUMS, and records/, whole Parquet files that never change.

One process writes, under a lock. What is finished is what the Parquet files say: each takes its name when it is whole.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipspect.base.document import MismatchError, from_json
from clipspect.base.errors import ClipspectError
from clipspect.base.files import atomic_file, sha256_of
from clipspect.base.lock import only_writer_in
from clipspect.base.temporary import remove_leftovers
from clipspect_lab.archive.decided import Decided

ABOUT, SUMS, RECORDS = "archive.json", "SHA256SUMS", "records"
_LONGEST_S = 60.0  # that finished records wait in memory: what the end of this process can cost
_NUMBERED = re.compile(r"([0-9]{6,})\.parquet")


@dataclass(frozen=True)
class About:
    """What archive.json says: what the records are of, and what decided them."""

    schema: Literal[1]
    source: str
    column: str | None  # of a Parquet source, as it was asked for
    decided: Decided


@dataclass
class Tally:
    """What there is, over all runs."""

    verdicts: Counter[str] = field(default_factory=Counter)  # "scored" without limits
    errors: int = 0

    @property
    def images(self) -> int:
        return self.errors + sum(self.verdicts.values())

    def add(self, table: pa.Table) -> None:
        failed = table["error"].is_valid().to_pylist()
        for verdict, error in zip(table["verdict"].to_pylist(), failed):
            if error:
                self.errors += 1
            else:
                self.verdicts[verdict or "scored"] += 1


class Store:
    """Made by `opened`."""

    def __init__(self, root: Path, size: int) -> None:
        self.root, self._size = root, size
        self.tally = Tally()
        self.done: pa.ChunkedArray = pa.chunked_array([], pa.string())  # names of finished images, when it was opened
        self.files: dict[str, str] = {}  # SHA-256 by the name in `root`
        self._waiting: list[pa.Table] = []
        self._since = monotonic()

    def about(self) -> About | None:
        """What the folder is of; None where it is new. Raises ClipspectError."""
        path = self.root / ABOUT
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            if self.files:
                raise ClipspectError(
                    f"{self.root}: has records and no {ABOUT}, which says what of: choose another folder"
                ) from None
            return None
        try:
            return from_json(About, content, str(path))
        except MismatchError as error:
            raise ClipspectError(f"{error}: choose another folder") from error

    def begin(self, about: About) -> None:
        """The folder is of this from now on. Raises ClipspectError where it is of something else."""
        before = self.about()
        if before is None:
            with atomic_file(self.root / ABOUT) as file:
                file.write(msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n")
            return
        said = before.decided.difference(about.decided)
        if (before.source, before.column) != (about.source, about.column):
            said = f"its source is {_source(before)}, here it is {_source(about)}"
        if said:
            raise ClipspectError(f"{self.root}: is the archive of something else ({said}): choose another folder")

    def add(self, table: pa.Table) -> None:
        """Finished records, none of which is there; they are written some at a time."""
        self.tally.add(table)
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= self._size or monotonic() - self._since > _LONGEST_S:
            self.write()

    def write(self) -> None:
        """Write what waits, as one file. Raises ClipspectError."""
        self._since = monotonic()
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting).sort_by("number")
        number = max((_number(name) for name in self.files), default=0) + 1
        name = f"{RECORDS}/{number:06}.parquet"
        with atomic_file(self.root / name) as file:
            pq.write_table(table, file, compression="zstd")
        self._waiting = []
        self.files[name] = sha256_of(self.root / name)
        with (self.root / SUMS).open("a", encoding="ascii") as sums:
            sums.write(_sum(name, self.files[name]))
            sums.flush()
            os.fsync(sums.fileno())

    def read(self) -> list[str]:
        """Find what is finished. Answers names of files that were written and are gone. Raises ClipspectError."""
        folder = self.root / RECORDS
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        noted = _noted(self.root / SUMS)
        for path in sorted(folder.iterdir()):
            if _NUMBERED.fullmatch(path.name):
                self._read(path, noted)
        gone = sorted(noted.keys() - self.files.keys())
        with atomic_file(self.root / SUMS) as file:
            file.write("".join(_sum(*entry) for entry in self.files.items()).encode())
        if pc.count_distinct(self.done).as_py() != len(self.done):
            raise ClipspectError(f"{folder}: has an image twice: take out the files that are not of this archive")
        return gone

    def _read(self, path: Path, noted: dict[str, str]) -> None:
        name, digest = f"{RECORDS}/{path.name}", sha256_of(path)
        if noted.get(name, digest) != digest:
            raise ClipspectError(
                f"{path}: is not the file that was written (its SHA-256 is another than in {SUMS}): remove it, and "
                "its images are inspected again"
            )
        try:
            table = pq.read_table(path, columns=["name", "verdict", "error"])
        except (OSError, pa.ArrowException) as error:
            raise ClipspectError(f"{path}: is no Parquet file of an archive ({error}): take it out") from error
        if table.column_names != ["name", "verdict", "error"]:
            raise ClipspectError(f"{path}: is no Parquet file of an archive: take it out of the folder")
        self.files[name] = digest
        self.tally.add(table)
        self.done = pa.chunked_array([*self.done.chunks, *table["name"].chunks], pa.string())


@contextmanager
def opened(root: Path, size: int) -> Iterator[Store]:
    """The folder, locked for this process; `size` records a file. At the end what waits is written.

    Raises ClipspectError, also where another process writes there.
    """
    with only_writer_in(root):
        store = Store(root, size)
        try:
            yield store
        finally:
            store.write()


def _source(about: About) -> str:
    return about.source if about.column is None else f"{about.source}, column {about.column}"


def _sum(name: str, digest: str) -> str:
    return f"{digest}  {name}\n"


def _noted(path: Path) -> dict[str, str]:
    """The lines of SHA256SUMS; a last one that is not whole was never finished."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="ascii", errors="replace").splitlines(keepends=True)
    whole: dict[str, Any] = {}
    for line in lines:
        digest, _, name = line.rstrip("\n").partition("  ")
        if line.endswith("\n") and name:
            whole[name] = digest
    return whole


def _number(name: str) -> int:
    found = _NUMBERED.fullmatch(Path(name).name)
    assert found is not None
    return int(found[1])
