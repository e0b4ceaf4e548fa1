"""Runs commands of which some are killed at a moment, without importing TensorFlow anew for each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_forked(*calls: tuple[Any, ...]) -> None:
    """Runs commands, each given as its name, the path at which it is killed or None, and its arguments.

    Raises:
        AssertionError: One was not killed that should have been, or failed.
    """
    document = [
        {"command": command, "moment": moment and str(moment), "arguments": [*map(str, arguments)]}
        for command, moment, *arguments in calls
    ]
    script, root = Path(__file__).with_name("forked_commands.py"), Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, str(script), json.dumps(document)],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert found.returncode == 0, found.stderr[-3000:]
    ended = json.loads(found.stdout.splitlines()[-1])
    assert ended == [-signal.SIGKILL if call["moment"] else 0 for call in document], found.stderr[-3000:]
