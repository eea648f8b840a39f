"""Text in columns: a million names or ids as two arrays instead of a million objects.

Promises: immutable; what goes in comes out unchanged; an id is found in logarithmic time. Numbers are positions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Bytes: TypeAlias = npt.NDArray[np.uint8]

_HEX = np.full(256, 255, np.uint8)
_HEX[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)
_UUID = 36
"""Characters of one."""
_DIGITS = np.array([i for i in range(_UUID) if i not in (8, 13, 18, 23)])


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Strings one after the other as UTF-8: text i is `blob[starts[i]:starts[i + 1]]`."""

    blob: Bytes
    starts: Int64s

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """These texts."""
        joined = "".join(texts)
        if joined.isascii():
            return cls(np.frombuffer(joined.encode(), np.uint8), _starts(texts))
        return cls.of_bytes([text.encode() for text in texts])

    @classmethod
    def of_bytes(cls, encoded: Sequence[bytes]) -> Self:
        """These texts, encoded already."""
        return cls(np.frombuffer(b"".join(encoded), np.uint8), _starts(encoded))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> str:
        return bytes(self.blob[self.starts[number] : self.starts[number + 1]]).decode()

    def __iter__(self) -> Iterator[str]:
        data, ends = self.blob.tobytes(), self.starts.tolist()
        return (data[a:b].decode() for a, b in pairwise(ends))

    def take(self, numbers: npt.NDArray[np.integer]) -> Texts:
        """The texts of these numbers, in their order."""
        lengths = self.starts[1:][numbers] - self.starts[:-1][numbers]
        starts = np.zeros(len(numbers) + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        places = np.arange(starts[-1], dtype=np.int64)
        places += np.repeat(self.starts[:-1][numbers] - starts[:-1], lengths)
        return Texts(self.blob[places], starts)


@dataclass(frozen=True, slots=True, eq=False)
class Ids:
    """Distinct ids. UUIDs in their canonical form take 16 bytes each, others as many as the longest.

    `keys`: `S16` if `uuids`, else `S<longest>`, UTF-8; `order`: numbers in ascending order of their ids.
    """

    keys: npt.NDArray[np.bytes_]
    order: Int32s
    uuids: bool

    @classmethod
    def of(cls, ids: Sequence[str]) -> Self:
        """These ids, which must be distinct and without NUL."""
        if not len(ids):
            return cls(np.empty(0, "S16"), np.empty(0, np.int32), True)
        joined = "".join(ids)
        if joined.isascii() and (np.diff(_starts(ids)) == _UUID).all():
            return cls.of_array(np.frombuffer(joined.encode(), f"S{_UUID}"))
        return cls.of_array(np.array([text.encode() for text in ids], np.bytes_))

    @classmethod
    def of_array(cls, texts: npt.NDArray[np.bytes_]) -> Self:
        """Ids as numpy has them (`S36` for UUIDs)."""
        packed = _packed(texts)
        uuids = packed is not None
        keys = texts if packed is None else packed
        return cls.of_keys(keys, uuids=uuids)

    @classmethod
    def of_keys(cls, keys: npt.NDArray[np.bytes_], *, uuids: bool) -> Self:
        """Ids in the form in which this column keeps them."""
        return cls(keys, _sorted(keys), uuids)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, number: int) -> str:
        return self._text(bytes(self.keys[number]))

    def __iter__(self) -> Iterator[str]:
        return map(self._text, self.keys.tolist())

    def _text(self, key: bytes) -> str:
        if not self.uuids:
            return key.decode()
        digits = key.ljust(16, b"\0").hex()  # numpy cuts trailing NULs
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def key_of(self, text: str) -> bytes | None:
        """The id as the column has it; None if this column cannot hold it."""
        if not self.uuids:
            key = text.encode("utf-8", "surrogatepass")
            return None if len(key) > self.keys.dtype.itemsize or b"\0" in key else key
        try:
            key = bytes.fromhex(text.replace("-", ""))
        except ValueError:
            return None
        return key.rstrip(b"\0") if len(key) == 16 and self._text(key) == text else None

    def find(self, text: str) -> int | None:
        """The number of an id, None if it is not here. Binary search; some 5 us among a million."""
        key = self.key_of(text)
        if key is None:
            return None
        keys, order = self.keys, self.order
        place = bisect_left(order, key, key=keys.__getitem__)
        return int(order[place]) if place < len(order) and keys[order[place]] == key else None

    def sorting(self, numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """The places of these numbers in ascending order of their ids."""
        return _sorted(self.keys[numbers]).astype(np.int64)

    def arranged(self, order: Int32s, place: Int32s) -> Ids:
        """All of them in another order: id i of the new ones is `order[i]` here, and `place` the other way round."""
        return Ids(self.keys[order], place[self.order], self.uuids)

    def take(self, numbers: npt.NDArray[np.integer]) -> Ids:
        """The ids of these numbers, in their order."""
        keys = self.keys[numbers]
        return Ids(keys, _sorted(keys), self.uuids)

    def texts(self, numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.bytes_]:
        """The ids of these numbers as text: an array of `S36` for UUIDs."""
        keys: npt.NDArray[np.bytes_] = self.keys[numbers]
        if not self.uuids:
            return keys
        digits = np.frombuffer(np.ascontiguousarray(keys).tobytes().hex().encode(), np.uint8).reshape(-1, 32)
        text = np.full((len(keys), _UUID), ord("-"), np.uint8)
        for begin, end, dashes in ((0, 8, 0), (8, 12, 1), (12, 16, 2), (16, 20, 3), (20, 32, 4)):
            text[:, begin + dashes : end + dashes] = digits[:, begin:end]
        packed: npt.NDArray[np.bytes_] = text.reshape(-1).view("S36")
        return packed


def ranges(begins: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer]) -> Int64s:
    """All of `begin .. begin + length`, one range after the other."""
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    places: Int64s = np.arange(total, dtype=np.int64) + np.repeat(begins - (ends - lengths), lengths)
    return places


def _starts(texts: Sequence[str] | Sequence[bytes]) -> Int64s:
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=starts[1:])
    return starts


def _packed(texts: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bytes_] | None:
    """UUIDs in their canonical form as 16 bytes; None where one of the texts is none."""
    if texts.dtype.itemsize != _UUID or not len(texts):
        return None
    characters = np.ascontiguousarray(texts).view(np.uint8).reshape(-1, 36)
    if not (characters[:, [8, 13, 18, 23]] == ord("-")).all():
        return None
    digits = _HEX[characters[:, _DIGITS]]
    if (digits == 255).any():
        return None
    packed: npt.NDArray[np.bytes_] = (digits[:, 0::2] << 4 | digits[:, 1::2]).reshape(-1).view("S16")
    return packed


def _sorted(keys: npt.NDArray[np.bytes_]) -> Int32s:
    """The order of the keys. As pairs of numbers UUIDs sort ten times faster than as text."""
    if keys.dtype.itemsize == 16 and len(keys):
        halves = np.ascontiguousarray(keys).view(">u8").reshape(-1, 2).astype(np.uint64)
        first = np.ascontiguousarray(halves[:, 0])
        order = np.argsort(first)
        if (np.diff(first[order]) == 0).any():  # the first halves of two are the same: the second ones decide
            order = np.lexsort((halves[:, 1], first))
        return order.astype(np.int32)
    return np.argsort(keys, kind="stable").astype(np.int32)
