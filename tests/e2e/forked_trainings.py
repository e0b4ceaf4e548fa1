"""Trains one run again and again in forked processes, each of which is ended by SIGKILL at a moment of its own.

`python forked_trainings.py '{"model": .., "settings": [..], "run": PATH, "moments": [PATTERN, ..]}'` trains into PATH:
the first process dies just before it renames something to a path that matches the first pattern, the next one goes on
and dies at the second, and so on; the last one is let live. Prints a JSON list of the signals that ended them, 0 for
none.

TensorFlow is imported once, and nothing is computed before the forks: it has no threads yet that a fork would lose.
"""

from __future__ import annotations

import fnmatch
import json
import os
import signal
import sys
import traceback
from typing import Any

from rich.console import Console

from tfrec.training import fit_stages  # noqa: F401  imported before the forks, not in each
from tfrec.training.experiment import run_experiment
from tfrec.training.model_store import run_config


def train(model: str, settings: list[str], run: str, *, resume: bool, moment: str | None) -> None:
    """Trains in this process, which dies at `moment`."""

    def kill(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" and moment is not None and fnmatch.fnmatch(os.fspath(arguments[1]), f"*/{moment}"):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    run_experiment(run_config(model, assignments=settings), run, Console(quiet=True), resume=resume, report=False)


def main(model: str, settings: list[str], run: str, moments: list[str]) -> list[int]:
    """Returns the signals by which the processes ended."""
    signals = []
    for number, moment in enumerate([*moments, None]):
        child = os.fork()
        if not child:
            failed = True
            try:
                train(model, settings, run, resume=number > 0, moment=moment)
                failed = False
            finally:
                if failed:
                    traceback.print_exc()
                os._exit(failed)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            sys.exit(f"The training that was to end at {moment} failed.")
        signals.append(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
    return signals


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
