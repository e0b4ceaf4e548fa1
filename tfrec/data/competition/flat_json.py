"""The entries of one large JSON object, some at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from tfrec.errors import DataError

_CHARACTERS_AT_ONCE = 1 << 22
_ENTRIES_AT_ONCE = 1 << 16


def object_entries(path: Path) -> Iterator[pa.Table]:
    """Reads `{"key": value, ...}` without ever holding all of it.

    Args:
        path: The file.

    Returns:
        Tables with the columns `key` and `value`, the JSON text of the value.

    Raises:
        DataError: The file is no JSON object; the message says behind how many entries.
    """
    keys: list[str] = []
    values: list[str] = []
    with path.open(encoding="utf-8") as file:
        for key, value in _ObjectReader(path, file).entries():
            keys.append(key)
            values.append(value)
            if len(keys) == _ENTRIES_AT_ONCE:
                yield pa.table({"key": keys, "value": values})
                keys, values = [], []
    yield pa.table({"key": pa.array(keys, pa.string()), "value": pa.array(values, pa.string())})


class _ObjectReader:
    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file = path, file
        self.decode = json.JSONDecoder().raw_decode
        self.text, self.place, self.ended, self.read = "", 0, False, 0

    def entries(self) -> Iterator[tuple[str, str]]:
        self.punctuation("{")
        if self.next_character() == "}":
            return
        separator = ","
        while separator == ",":
            key, _ = self.value()
            if not isinstance(key, str):
                raise self.damaged(f"`{key}` is no key")
            self.punctuation(":")
            yield key, self.value()[1]
            self.read += 1
            separator = self.punctuation(",}")

    def value(self) -> tuple[Any, str]:
        """Returns the next value and its text."""
        self.next_character()
        while True:
            problem = "it ends too soon"
            try:
                found, end = self.decode(self.text, self.place)
                if end < len(self.text) or self.ended:  # else a number may go on
                    start, self.place = self.place, end
                    return found, self.text[start:end]
            except ValueError as error:
                problem = str(error)
            if not self.refill():
                raise self.damaged(problem)

    def punctuation(self, expected: str) -> str:
        """Passes over one of the expected characters, which it returns."""
        found = self.next_character()
        if found not in expected:
            raise self.damaged(f"`{found}` in place of `{expected}`")
        self.place += 1
        return found

    def next_character(self) -> str:
        """Passes over white space."""
        while True:
            while self.place < len(self.text) and self.text[self.place].isspace():
                self.place += 1
            if self.place < len(self.text):
                return self.text[self.place]
            if not self.refill():
                raise self.damaged("it ends too soon")

    def refill(self) -> bool:
        """Drops what has been read and reads on; False at the end of the file, the second time in a row."""
        if self.ended:
            return False
        try:
            more = self.file.read(_CHARACTERS_AT_ONCE)
        except UnicodeDecodeError as error:
            raise self.damaged(f"what follows is not UTF-8 ({error.reason})") from error
        self.text, self.place, self.ended = self.text[self.place :] + more, 0, not more
        return True

    def damaged(self, problem: str) -> DataError:
        return DataError(
            f"Not one JSON object: behind {self.read:,} entries, {problem}.",
            file=str(self.path),
            remedy="Check that the file is whole.",
        )
