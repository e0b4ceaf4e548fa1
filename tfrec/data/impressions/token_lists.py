"""Lists held in text, taken apart without a loop over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
_MOST_DIGITS = 9
_PIECE_ROWS = 128  # what is held of them fits into the processor's cache
_ZERO = np.uint8(ord("0"))


@dataclass(frozen=True)
class TokenLists:
    """The lists of some rows, one after another.

    Attributes:
        offsets: Row n has the tokens `offsets[n]` to `offsets[n + 1]`, int64 `[rows + 1]`.
        numbers: The tokens as whole numbers, int64 `[tokens]`, where every token is written as one; else None.
        texts: The tokens as text, arrow string `[tokens]`, where `numbers` is None.
    """

    offsets: Ints
    numbers: Ints | None
    texts: pa.Array | None = None

    def as_texts(self) -> pa.Array:
        """Returns the tokens as text, whatever they are held as."""
        return self.texts if self.numbers is None else pc.cast(pa.array(self.numbers), pa.string())


def split_lists(array: pa.Array, separator: str, max_length: int, keep: str) -> TokenLists:
    """Takes texts such as `269,57,463` apart; missing and empty texts are empty lists.

    Tokens that are whole numbers without leading zeros are parsed in numpy, some ten times faster than as text.

    Args:
        array: Texts, arrow string or large_string `[rows]`.
        separator: Between tokens.
        max_length: Tokens kept of a longer list.
        keep: `last` or `first`.

    Example:
        >>> split_lists(pa.array(["7,30,4", None, "5"]), ",", 2, "last").numbers.tolist()
        [30, 4, 5]
    """
    if len(array) > _PIECE_ROWS:
        pieces = [
            split_lists(array.slice(start, _PIECE_ROWS), separator, max_length, keep)
            for start in range(0, len(array), _PIECE_ROWS)
        ]
        return _joined(pieces)
    data, bounds = _bytes(array)
    if len(separator.encode()) == 1:
        parsed = _split_numbers(data, bounds, np.uint8(ord(separator)), max_length, keep)
        if parsed is not None:
            return parsed
    lists = pc.split_pattern(pc.fill_null(array.cast(pa.large_string()), ""), separator)
    offsets = np.asarray(lists.offsets, np.int64)
    lengths = np.where(np.diff(bounds) > 0, np.diff(offsets), 0)
    kept, new = _kept(offsets[:-1], lengths, max_length, keep)
    return TokenLists(new, None, pc.utf8_trim_whitespace(lists.values.take(pa.array(kept)).cast(pa.string())))


def _joined(pieces: list[TokenLists]) -> TokenLists:
    before = np.cumsum([0, *(int(piece.offsets[-1]) for piece in pieces)])
    offsets = [piece.offsets[1:] + start for piece, start in zip(pieces, before, strict=False)]
    joined = np.concatenate([np.zeros(1, np.int64), *offsets])
    numbers = [piece.numbers for piece in pieces if piece.numbers is not None]
    if len(numbers) == len(pieces):
        return TokenLists(joined, np.concatenate(numbers))
    return TokenLists(joined, None, pa.concat_arrays([piece.as_texts() for piece in pieces]))


def arrow_lists(array: pa.Array, max_length: int, keep: str) -> TokenLists:
    """Takes a column of lists (of whole numbers or text) apart; missing lists are empty.

    Args:
        array: Arrow list or large_list `[rows]`.
        max_length: Values kept of a longer list.
        keep: `last` or `first`.
    """
    lengths = np.asarray(pc.fill_null(pc.list_value_length(array), 0), np.int64)
    offsets = np.asarray(array.offsets, np.int64)
    kept, new = _kept(offsets[:-1], lengths, max_length, keep)
    values = array.values.take(pa.array(kept))
    if pa.types.is_integer(values.type) and not values.null_count:
        return TokenLists(new, values.cast(pa.int64()).to_numpy())
    return TokenLists(new, None, pc.cast(values, pa.string()))


def _bytes(array: pa.Array) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of texts, and where each begins; missing ones are empty."""
    array = pc.fill_null(array.cast(pa.large_string()), "") if array.null_count else array.cast(pa.large_string())
    _, offset_buffer, data = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    values = np.frombuffer(data, np.uint8)[first:last] if data is not None else np.zeros(0, np.uint8)
    return values, offsets - first


def _kept(starts: Ints, lengths: Ints, max_length: int, keep: str) -> tuple[Ints, Ints]:
    """Positions of the tokens that are kept, and the offsets of the rows among them."""
    short = np.minimum(lengths, max_length)
    first = starts + (lengths - short if keep == "last" else 0)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(short)])
    return np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], short), offsets


def _split_numbers(
    data: npt.NDArray[np.uint8], bounds: Ints, separator: np.uint8, max_length: int, keep: str
) -> TokenLists | None:
    """Returns the tokens as numbers, or None where some token is not a plain whole number.

    Every byte gets the value of the digits that end there; the values at the last digits are the tokens.
    """
    digits = data - _ZERO  # [bytes], wraps around below `0`
    is_digit = digits <= 9
    if np.count_nonzero(is_digit) + np.count_nonzero(data == separator) != len(data):
        return None
    goes_on = np.zeros(len(data) + 1, bool)  # a digit that follows a digit of the same row
    np.logical_and(is_digit[1:], is_digit[:-1], out=goes_on[1:-1])
    goes_on[bounds] = False
    last = np.flatnonzero(is_digit & ~goes_on[1:])  # [tokens]
    filled = np.count_nonzero(np.diff(bounds))
    if len(last) != len(data) - np.count_nonzero(is_digit) + filled:
        return None  # an empty token
    if np.any((digits[:-1] == 0) & ~goes_on[:-2] & goes_on[1:-1]):
        return None  # a leading zero
    rows = np.searchsorted(last, bounds)  # [rows + 1]
    runs: list[npt.NDArray[np.bool_]] = [goes_on[:-1]]  # runs[k]: k + 1 digits of the token before this one
    while runs[-1].any():
        if len(runs) == _MOST_DIGITS:
            return None
        longer = runs[-1].copy()
        longer[1:] = runs[-1][1:] & runs[-1][:-1]
        runs.append(longer)
    kind: Any = np.uint16 if len(runs) <= 4 else np.int32
    values: npt.NDArray[Any] = digits.astype(kind)
    for place, follows in enumerate(runs[:-1], 1):
        values[place:] += (digits[:-place] * follows[place:]).astype(kind) * kind(10**place)
    kept, rows = _kept(rows[:-1], np.diff(rows), max_length, keep)
    return TokenLists(rows, values[last[kept]].astype(np.int64))


def text_lists(column: pa.Array, separator: str, max_length: int, keep: str) -> TokenLists:
    """Takes a column apart, whether it holds lists or text."""
    kind: Any = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return arrow_lists(column, max_length, keep)
    return split_lists(column, separator, max_length, keep)
