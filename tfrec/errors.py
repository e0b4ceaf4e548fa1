"""Errors that reach the user: one readable line, one exit code, one remedy each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tfrec.public_url import public_url


class TfrecError(Exception):
    """Base class of every error this package raises on purpose.

    Commands print it as one line and exit with `exit_code`; the traceback appears only with `--debug`.

    Args:
        problem: What is wrong. Names the thing in backticks and gives the received value.
        remedy: What the user can do next. Appended after the problem.
    """

    exit_code = 1

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}".strip())


class ConfigError(TfrecError):
    """A flag, configuration key or name is unknown or has a value outside its domain."""

    exit_code = 2


class DataError(TfrecError):
    """Input data, a dataset directory or a run directory is missing, damaged or unfit.

    Args:
        problem: What is wrong with the data.
        file: The file (or files, as one string) in which it was found; of a URL what may be shown of it.
        column: The column in which it was found.
        row: Row number within `file`; the first data row is row 1, a header is not counted.
        remedy: What the user can do next.
    """

    exit_code = 3

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        column: str | None = None,
        row: int | None = None,
        remedy: str = "",
    ) -> None:
        self.file = public_url(file) if isinstance(file, str) else file
        self.column = column
        self.row = row
        place = []
        if file is not None:
            place.append(f"`{self.file}`")
        if column is not None:
            place.append(f"column `{column}`")
        if row is not None:
            place.append(f"row {row}")
        where = ", ".join(place)
        super().__init__(f"{where}: {problem}" if where else problem, remedy=remedy)


class SchemaMismatchError(DataError):
    """A dataset and a model (or another dataset) disagree about features or vocabularies."""


class TrainingError(TfrecError):
    """Training cannot go on, for example because the loss is not a number."""

    exit_code = 4


class ServingError(TfrecError):
    """A model server did not answer a request, or answered it with an error.

    Args:
        problem: What went wrong, with the server's own words where it has any.
        server: Address of the server.
        model: Name of the model asked for.
        signature: Signature of the request; none for status and metadata.
        code: Status code by its gRPC name, for example `NOT_FOUND`, `UNAVAILABLE`, `DEADLINE_EXCEEDED`.
        remedy: What the user can do next.

    Attributes:
        reason: `problem` without server, model and signature, which the message names first.
    """

    exit_code = 5

    def __init__(
        self,
        problem: str,
        *,
        server: str,
        model: str,
        signature: str | None = None,
        code: str = "UNKNOWN",
        remedy: str = "",
    ) -> None:
        self.server = server
        self.model = model
        self.signature = signature
        self.code = code
        self.reason = problem
        place = f"`{server}`, model `{model}`" + (f", signature `{signature}`" if signature else "")
        super().__init__(f"{place}: {problem}", remedy=remedy)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ` Did you mean `x`?` for the closest known name, then the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean `{close[0]}`? " if close else ""
    return f"{hint}Known: {', '.join(f'`{n}`' for n in names)}."
