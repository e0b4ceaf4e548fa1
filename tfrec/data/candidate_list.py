"""A list of the items that compete, from a text file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import DataError

_INTEGER = re.compile(r"-?[0-9]+")


def read_candidates(path: Path, vocabulary: Vocabulary) -> list[int]:
    """Reads raw item ids, one per line; blank lines are passed over.

    Args:
        path: The file.
        vocabulary: Item vocabulary.

    Returns:
        Item indices in ascending order.

    Raises:
        DataError: The file cannot be read, holds no id, an id is not in the vocabulary, or an id is listed twice;
            names the row.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list of candidates cannot be read: {error}", file=path) from error
    rows = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise DataError("The list of candidates is empty.", file=path, remedy="Write one raw item id per line.")
    integers = np.issubdtype(vocabulary.ids.dtype, np.integer)
    for number, text in rows:
        if integers and not _INTEGER.fullmatch(text):
            raise DataError(f"`{text}` is not an integer, as the item ids are.", file=path, row=number)
        if integers and not -(2**63) <= int(text) < 2**63:
            raise DataError(f"`{text}` is beyond int64, the type of the item ids.", file=path, row=number)
    indices = vocabulary.lookup([int(text) if integers else text for _, text in rows])
    for (number, text), index in zip(rows, indices, strict=True):
        if index < 2:
            raise DataError(
                f"The item `{text}` is not in the training data.", file=path, row=number, remedy="Remove the line."
            )
    first: dict[int, int] = {}
    for (number, text), index in zip(rows, indices.tolist(), strict=True):
        if index in first:
            raise DataError(
                f"The item `{text}` is listed twice, first in row {first[index]}.",
                file=path,
                row=number,
                remedy="Remove one of the lines: every candidate competes once.",
            )
        first[index] = number
    return sorted(first)
