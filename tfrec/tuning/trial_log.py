"""The console of a trial: a file, and a listener who shows the latest line."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path


class TrialLog(io.TextIOBase):
    """Text stream into a file that passes on every whole line.

    Args:
        path: The file.
        listen: Called with each line.
        append: Keep what an earlier process wrote.
    """

    def __init__(self, path: Path, listen: Callable[[str], None], *, append: bool) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a" if append else "w", encoding="utf-8")
        self._listen = listen
        self._rest = ""

    def write(self, text: str) -> int:
        """Writes and passes on."""
        self._file.write(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._listen(line)
        return len(text)

    def flush(self) -> None:
        """Puts what was written on disk."""
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()

    def writable(self) -> bool:
        """A log is written to."""
        return True
