"""Ranks: where a value lies among all values before it, exactly, in memory that does not grow with their number."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from statistics import NormalDist

_MANTISSA_BITS = 14  # that are kept of a value: steps of 1 / 16,384 of it. Fixed, so that it cannot depend on the data
_DROPPED = 23 - _MANTISSA_BITS
_CODES = 1 << (32 - _DROPPED)
_LARGEST = 3.4028234e38  # of float32
_SMALLEST = 1e-15  # distance of a p-value from 0 and 1 at which the normal score ends: 8 standard deviations
_HASH_BYTES = 8
_STANDARD = NormalDist()


class Ranks:
    """The online conformal transducer: each value's p-value among itself and all values before it.

    While the values are exchangeable (in any order as likely as in another, as when nothing changes), the p-values are
    independent and uniform, whatever the values' distribution: Vovk, Gammerman and Shafer, "Algorithmic Learning in a
    Random World", theorem 8.2. Against a fixed sample they would be neither.
    """

    def __init__(self, before: Iterable[float] = ()) -> None:
        self.count = 0
        self._counts: dict[int, int] = {}  # by code
        self._tree: dict[int, int] = {}  # Fenwick's binary indexed tree over the codes
        for value in before:
            self._add(_code(value), 1)

    def p_value(self, value: float, tie: float) -> float:
        """The share of values above this one, and of those that equal it (itself is one) the share `tie`, in (0, 1)."""
        code = _code(value)
        self._add(code, 1)
        equal = self._counts[code]
        above = self.count - self._up_to(code)
        return (above + tie * equal) / self.count

    def normal_score(self, value: float, tie: float) -> float:
        """The same as a standard normal variable, which is large where the value is."""
        return -_STANDARD.inv_cdf(min(max(self.p_value(value, tie), _SMALLEST), 1 - _SMALLEST))

    def state(self) -> list[tuple[int, int]]:
        """How often there was which value, by its code: all that there is to keep."""
        return sorted(self._counts.items())

    @classmethod
    def restored(cls, state: Iterable[tuple[int, int]]) -> Ranks:
        ranks = cls()
        for code, count in state:
            ranks._add(code, count)
        return ranks

    def _add(self, code: int, count: int) -> None:
        self.count += count
        self._counts[code] = self._counts.get(code, 0) + count
        while code <= _CODES:
            self._tree[code] = self._tree.get(code, 0) + count
            code += code & -code

    def _up_to(self, code: int) -> int:
        total = 0
        while code:
            total += self._tree.get(code, 0)
            code &= code - 1
        return total


def tie_of(id: str, quantity: str) -> float:
    """A number in (0, 1) from a record's id: random to whoever makes images, and the same whenever it is asked for."""
    digest = hashlib.blake2b(f"{quantity}\0{id}".encode(), digest_size=_HASH_BYTES).digest()
    return (int.from_bytes(digest, "big") + 0.5) / (1 << 8 * _HASH_BYTES)


def _code(value: float) -> int:
    """A whole number from 1 that orders values as they are, of float32 with a shorter mantissa."""
    packed = struct.pack(">f", min(max(value, -_LARGEST), _LARGEST) + 0.0)  # -0.0 becomes 0.0
    (bits,) = struct.unpack(">I", packed)
    ordered: int = (bits ^ 0xFFFFFFFF) if bits & 0x80000000 else (bits | 0x80000000)
    return (ordered >> _DROPPED) + 1
