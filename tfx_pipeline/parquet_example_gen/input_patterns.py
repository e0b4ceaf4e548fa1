"""Where the files of a log are, as TFX describes it: a directory, and a pattern per input."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrec.errors import ConfigError, DataError
from tfx_pipeline.beam_flags import refuse_url

FILES = ("input", "train", "valid", "test")
"""Names of the flags of a conversion that hold files."""

_MAGIC = re.compile(r"[*?\[{]")


def input_patterns(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the directory that all paths have in common, and each path relative to it.

    Args:
        paths: Files, directories or globs of Parquet files; `{SPAN}` (a number), `{YYYY}`, `{MM}`, `{DD}` and
            `{VERSION}` stand for the latest of what they match, as in other example generators of TFX.

    Returns:
        The directory, without patterns, and the patterns below it.

    Raises:
        ConfigError: There is no path, or one is the address of a bucket or server.
        DataError: A path without pattern does not exist.
    """
    if not paths:
        raise ConfigError("No input.", remedy="Name Parquet files, a directory or a pattern.")
    bases, complete = [], []
    for path in paths:
        refuse_url(path, "--data")
        full = Path(path).absolute()
        if not _MAGIC.search(str(full)):
            if not full.exists():
                raise DataError("No such file or directory.", file=path, remedy="Check the path.")
            full = full / "*.parquet" if full.is_dir() else full
        complete.append(full)
        fixed = list(full.parts)
        bases.append(fixed[: next((n for n, part in enumerate(fixed) if _MAGIC.search(part)), len(fixed) - 1)])
    base = Path(*_common(bases))
    return str(base), [str(path.relative_to(base)) for path in complete]


def any_span(pattern: str) -> str:
    """Returns a glob for the files of all spans.

    Example:
        >>> any_span("day-{SPAN:2}/*.parquet")
        'day-*/*.parquet'
    """
    return re.sub(r"\{[A-Z]+(:\d+)?\}", "*", pattern)


def log_globs(conversion: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns globs for all files of the log, of all spans.

    Args:
        conversion: Flags of a conversion, with the files.

    Raises:
        ConfigError: There is no path, or one is the address of a bucket or server.
        DataError: A path without pattern does not exist.
    """
    base, patterns = input_patterns([path for name in FILES for path in listed(conversion.get(name))])
    return tuple(f"{base}/{any_span(pattern)}" for pattern in patterns)


def listed(value: Any) -> list[str]:
    """Returns one path or several as a list."""
    return [value] if isinstance(value, str) else [str(path) for path in value or ()]


def _common(bases: Sequence[Sequence[str]]) -> list[str]:
    """The longest beginning that all have in common."""
    found = []
    for parts in zip(*bases, strict=False):
        if len(set(parts)) > 1:
            break
        found.append(parts[0])
    return found
