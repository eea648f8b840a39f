"""Lines of JSON out of columns: what makes a large answer a text, without an object for each line."""

from __future__ import annotations

from cmdb.model.columns import Bytes, Int32s, Int64s
from impact.kernel import kernel

ESCAPED = 6
"""Bytes that one byte takes at most: `\\u001f`."""
DIGITS = 20
_QUOTE, _BACKSLASH, _SPACE = 34, 92, 32


@kernel
def write_lines(
    before: Bytes,
    ids: Bytes,
    between: Bytes,
    names: Bytes,
    name_starts: Int64s,
    middles: Bytes,
    middle_starts: Int64s,
    middle_of: Int32s,
    numbers: Int32s,
    after: Bytes,
    lines: Bytes,
) -> int:
    """Write for each row `before`, its id, `between`, its name, its middle, its number (0 or more), `after`.

    `ids`: uint8[n, longest], UTF-8, filled up with zeros; ids and names are written as JSON writes them between quotes.
    Returns how much of `lines` is used, which must have room.
    """
    at = 0
    for row in range(len(ids)):
        at = _copy(before, lines, at)
        end = 0
        while end < ids.shape[1] and ids[row, end] != 0:
            end += 1
        at = _quote(ids[row, :end], lines, at)
        at = _copy(between, lines, at)
        at = _quote(names[name_starts[row] : name_starts[row + 1]], lines, at)
        middle = middle_of[row]
        at = _copy(middles[middle_starts[middle] : middle_starts[middle + 1]], lines, at)
        number, size = numbers[row], 1
        while number >= 10:
            number //= 10
            size += 1
        number = numbers[row]
        for place in range(at + size - 1, at - 1, -1):
            lines[place] = 48 + number % 10
            number //= 10
        at = _copy(after, lines, at + size)
    return at


@kernel
def _copy(text: Bytes, lines: Bytes, at: int) -> int:
    """Where the copy ends. Without an index that could be negative: so it is many bytes at a time."""
    room = lines[at : at + len(text)]
    for place in range(len(text)):
        room[place] = text[place]
    return at + len(text)


@kernel
def _quote(text: Bytes, lines: Bytes, at: int) -> int:
    """Copy it, in another way where JSON writes it so; where the copy ends."""
    special = False
    for letter in text:
        special |= (letter < _SPACE) | (letter == _QUOTE) | (letter == _BACKSLASH)
    if not special:
        return _copy(text, lines, at)
    for letter in text:
        if letter < _SPACE:
            lines[at], lines[at + 1], lines[at + 2], lines[at + 3] = _BACKSLASH, 117, 48, 48
            low = letter & 15
            lines[at + 4], lines[at + 5] = 48 + (letter >> 4), low + (48 if low < 10 else 87)
            at += ESCAPED
            continue
        if letter in (_QUOTE, _BACKSLASH):
            lines[at] = _BACKSLASH
            at += 1
        lines[at] = letter
        at += 1
    return at
