"""Where the Beam jobs of the pipeline run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tfrec.data.beam.job_runner import LOCAL, RUNNERS, engine_flags
from tfrec.errors import ConfigError, did_you_mean

_CLOUD_ONLY = "DataflowRunner"
_SETUP = Path(__file__).resolve().parent.parent / "setup.py"
_URL = re.compile(r"(?:^|/)[A-Za-z][A-Za-z0-9+.-]+:/")


def beam_flags(runner: str, flags: Sequence[str]) -> tuple[str, ...]:
    """Returns the flags for Beam.

    Args:
        runner: One of `tfrec.data.beam.job_runner.RUNNERS`; empty for the local one.
        flags: Further ones, which have precedence.

    Raises:
        ConfigError: The runner or a flag is unknown, or the runner cannot read a local directory.
    """
    runner = runner or LOCAL
    if runner not in RUNNERS:
        raise ConfigError(f"Unknown `--runner {runner}`.", remedy=did_you_mean(runner, RUNNERS))
    if runner == _CLOUD_ONLY:
        raise ConfigError(
            f"`--runner {runner}`: its workers do not see the directory of the pipeline.",
            remedy="Use FlinkRunner or SparkRunner, all of whose workers mount it; or tfrec.convert with this runner.",
        )
    found = engine_flags(runner, flags)
    if runner == LOCAL:  # by this name Beam may choose an engine that it has to download, by the next one it does not
        found[0] = "--runner=FnApiRunner"
    elif _SETUP.is_file() and not any(flag.startswith("--setup_file") for flag in flags):
        found.insert(1, f"--setup_file={_SETUP}")  # workers need this package
    return tuple(found)


def refuse_url(path: str | Path, flag: str) -> None:
    """Raises ConfigError for the address of a bucket or server: all nodes work on directories.

    Args:
        path: A path as it was given, or made a `Path`.
        flag: Where it was given.

    Example:
        >>> refuse_url("clicks/day-{SPAN}/*.parquet", "--data")
    """
    if _URL.search(str(path)):
        raise ConfigError(
            f"`{flag}` is `{path}`, but the pipeline works on files and directories only.",
            remedy="Mount it, or copy it here; or use tfrec.convert, which reads addresses, and tfrec.train.",
        )
