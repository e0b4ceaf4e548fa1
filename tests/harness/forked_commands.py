"""Runs commands one after another, each in a forked process, some of which are ended by SIGKILL at a moment.

`python forked_commands.py '[{"command": "train", "arguments": [..], "moment": PATTERN}, ..]'`: a process with a moment
dies just before it renames something to a path that matches the pattern, one without (null) is let live. Polling for
the file from outside would miss the moments that last a few milliseconds. Prints a JSON list of how the processes
ended: the exit code, or the negative number of the signal.

TensorFlow is imported once, and nothing is computed before the forks: it has no threads yet that a fork would lose.
"""

from __future__ import annotations

import fnmatch
import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any

from tfrec.command import run_command
from tfrec.registry import model_names
from tfrec.training import evaluate_run, experiment  # noqa: F401  imported before the forks, not in each


def run(command: str, arguments: list[str], moment: str | None) -> int:
    """Runs a command in this process, which dies at `moment`."""

    def kill(event: str, values: tuple[Any, ...]) -> None:
        if event == "os.rename" and moment is not None and fnmatch.fnmatch(os.fspath(values[1]), moment):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    return run_command(importlib.import_module(f"tfrec.{command}").main, arguments)


def main(calls: list[dict[str, Any]]) -> list[int]:
    """Returns how the processes ended."""
    model_names()  # imports all models
    ended = []
    for call in calls:
        child = os.fork()
        if not child:
            os.dup2(2, 1)  # standard output is for the list
            code = 1
            try:
                code = run(**call)
            except BaseException:  # noqa: BLE001  nothing may get past the fork
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        ended.append(os.waitstatus_to_exitcode(status))
    return ended


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
