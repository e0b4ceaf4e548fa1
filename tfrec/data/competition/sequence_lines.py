"""A file of JSON lines, read at random by the byte offsets of its lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.errors import DataError


class Record(NamedTuple):
    """One record of a user's line: an event, or the profile, which has no item.

    Attributes:
        user: User id, as it stands there.
        item: Number of the item; None in the profile.
        user_features: Features of the user by id; only in the profile.
        item_features: Features of the item by id.
        action: 0 exposure, 1 click, 2 conversion.
        timestamp: Seconds since 1970.
    """

    user: Any
    item: int | None
    user_features: dict[str, Any] | None
    item_features: dict[str, Any] | None
    action: int | None
    timestamp: int


class SequenceLines:
    """The users of `seq.jsonl` or `predict_seq.jsonl`; a line is read when it is asked for.

    The file is opened at each access, so that workers may share the object.

    Args:
        path: The JSON lines; the offsets lie beside it, in `NAME_offsets.pkl`.

    Raises:
        DataError: A file is missing or damaged, or the offsets are not those of its lines.

    Example:
        >>> lines = SequenceLines("seq.jsonl")  # doctest: +SKIP
        >>> [record.item for record in lines[0]]  # doctest: +SKIP
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DataError("The file does not exist.", file=str(path))
        offsets = load_pickle(self.path.with_name(f"{self.path.stem}_offsets.pkl"))
        self.offsets = [int(offset) for offset in offsets]
        if self.offsets and (min(self.offsets) < 0 or max(self.offsets) >= self.path.stat().st_size):
            raise DataError(
                "The offsets point beyond the end of the file.", file=str(path), remedy="Make both files again."
            )

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, number: int) -> list[Record]:
        with self.path.open("rb") as file:
            file.seek(self.offsets[number])
            text = file.readline()
        try:
            return [Record(*record) for record in json.loads(text)]
        except (ValueError, TypeError) as error:
            raise DataError(
                f"No list of records of six values: {error}.", file=str(self.path), row=number + 1
            ) from error

    def __iter__(self) -> Iterator[list[Record]]:
        return (self[number] for number in range(len(self)))


def line_offsets(path: str | Path) -> list[int]:
    """Returns the byte offset of every line of a file."""
    offsets, place = [], 0
    with Path(path).open("rb") as file:
        for line in file:
            offsets.append(place)
            place += len(line)
    return offsets
