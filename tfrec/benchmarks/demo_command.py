"""One command of a demonstration, shown before it runs."""

from __future__ import annotations

import os
import subprocess
import sys

from tfrec.command import console
from tfrec.errors import TfrecError


def run_module(module: str, *arguments: object, **environment: str) -> None:
    """Prints and runs `python -m module` with further variables in its environment.

    Raises:
        TfrecError: It failed.
    """
    told = [str(argument) for argument in arguments]
    console().print(f"\n$ python -m {module} {' '.join(told)}", markup=False, soft_wrap=True)
    result = subprocess.run([sys.executable, "-m", module, *told], env={**os.environ, **environment})
    if result.returncode:
        raise TfrecError(f"`python -m {module}` ended with exit code {result.returncode}; its message stands above.")
