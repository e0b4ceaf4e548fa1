"""A file of JSON lines, read at random by the byte offsets of its lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.errors import DataError

_ONE_RELEASE = "Take the file and its offsets from one release, whole, or remove the offsets."


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
        self.offsets = load_offsets(self.path)

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, number: int) -> list[Record]:
        with self.path.open("rb") as file:
            file.seek(int(self.offsets[number]))
            text = file.readline()
        try:
            return [Record(*record) for record in json.loads(text)]
        except (ValueError, TypeError) as error:
            raise DataError(
                f"No list of records of six values: {error}.", file=str(self.path), row=number + 1
            ) from error

    def __iter__(self) -> Iterator[list[Record]]:
        return (self[number] for number in range(len(self)))


def offsets_path(path: Path) -> Path:
    """Returns where the offsets of a file of lines lie."""
    return path.with_name(f"{path.stem}_offsets.pkl")


def load_offsets(path: Path, *, lines: int | None = None) -> npt.NDArray[np.int64]:
    """Returns the byte offsets of the lines of a file, as they stand beside it, int64 `[lines]`.

    Args:
        path: The file of lines.
        lines: How many it has, where that is known.

    Raises:
        DataError: They are missing or damaged, do not rise from 0, are not as many as lines, or no line begins at the
            last: the file, or the offsets, are not whole or not of one release.
    """
    place = offsets_path(path)
    found = load_pickle(place)
    try:
        offsets = np.asarray(found)
        if offsets.size:
            offsets = offsets.astype(np.int64, casting="safe")
    except (TypeError, ValueError) as error:
        raise DataError(f"There are no offsets in it: {error}.", file=str(place), remedy=_ONE_RELEASE) from error
    if offsets.ndim != 1:
        raise DataError("There is no list of offsets in it.", file=str(place), remedy=_ONE_RELEASE)
    if offsets[:1].any() or (np.diff(offsets) <= 0).any():
        raise DataError("The offsets do not rise from 0.", file=str(place), remedy=_ONE_RELEASE)
    if len(offsets) > 1 and not _behind_a_line(path, int(offsets[-1])):
        raise DataError("The last offset is not where a line begins.", file=str(path), remedy=_ONE_RELEASE)
    if lines not in (None, len(offsets)):
        raise DataError(
            f"The file has {lines:,} lines, `{place.name}` has the offsets of {len(offsets):,}.",
            file=str(path),
            remedy=_ONE_RELEASE,
        )
    return offsets


def _behind_a_line(path: Path, place: int) -> bool:
    """Whether a file goes on behind this place, and has the end of a line before it."""
    with path.open("rb") as file:
        file.seek(place - 1)
        found = file.read(2)
    return len(found) == 2 and found[:1] == b"\n"


def line_offsets(path: str | Path) -> list[int]:
    """Returns the byte offset of every line of a file."""
    offsets, place = [], 0
    with Path(path).open("rb") as file:
        for line in file:
            offsets.append(place)
            place += len(line)
    return offsets
