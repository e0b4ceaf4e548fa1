"""Verification of an export in a process that has nothing but TensorFlow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tfrec.serving import replay
from tfrec.serving.export_error import ExportError

_SHOWN = 5
_SECONDS = 3600


def verify_export(path: Path) -> dict[str, Any]:
    """Loads an export in a fresh process, replays its golden requests there and checks its operations.

    Args:
        path: A version directory.

    Returns:
        The report of `tfrec.serving.replay`: `requests`, `ops`, `seconds`.

    Raises:
        ExportError: An answer differs from that of the model, an operation is unknown to TensorFlow Serving, something
            else than TensorFlow was needed, or the process failed.
    """
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KERAS", "TF_USE"))}
    with tempfile.TemporaryDirectory() as elsewhere:
        try:
            result = subprocess.run(
                [sys.executable, "-I", str(Path(replay.__file__).resolve()), str(path.resolve())],
                capture_output=True,
                text=True,
                check=False,
                cwd=elsewhere,
                env=keep,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"The replay of the golden requests did not end within {_SECONDS:g} s.",
                remedy="Try again on a machine with more memory or less load; --no-verify publishes without it.",
            ) from error
    try:
        report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        raise ExportError(
            f"The export cannot be loaded by TensorFlow alone (exit code {result.returncode}): "
            f"{lines[-1] if lines else 'no output'}",
            remedy="It must not be served.",
        ) from None
    problems = [] if report["requests"] else ["there are no golden requests, so that nothing was compared"]
    if report["foreign_ops"]:
        problems.append(f"operations that TensorFlow Serving lacks: {', '.join(report['foreign_ops'])}")
    if report["foreign_modules"]:
        problems.append(f"packages that a server lacks were imported: {', '.join(report['foreign_modules'])}")
    differences = report["differences"]
    if differences:
        shown = "; ".join(differences[:_SHOWN])
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        problems.append(f"{len(differences)} answers differ from those of the model: {shown}{more}")
    if problems:
        raise ExportError(f"Verification failed: {'; '.join(problems)}.", remedy="It must not be served.")
    return report
