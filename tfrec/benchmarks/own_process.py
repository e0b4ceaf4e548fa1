"""A case that is timed in a process of its own, set up as training commands set up theirs."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tfrec.compat import load_tensorflow
from tfrec.errors import TfrecError
from tfrec.process_tuning import keep_freed_memory, use_threads_for_small_operations

TimedCase = Callable[[], tuple[float, list[float]]]
"""Does the work once; returns its rate and all losses so far."""


class OwnProcess:
    """Calls a case in a fresh process, with the memory and thread settings of `tfrec.train`.

    Threads cannot be changed once TensorFlow has started, and what is right for our small operations is not what a
    user of Keras has: systems that are compared must not share a process.

    Args:
        factory: Function of a module that makes the case; called in the process.
        arguments: Its arguments, of Python's own types.
        small_operations: One thread per operation, as `tfrec.train` sets it where operations are small.
    """

    def __init__(self, factory: Callable[..., TimedCase], *arguments: Any, small_operations: bool = True) -> None:
        # By name: otherwise the process would import TensorFlow, noisily, before `_serve` can quieten it.
        name = factory.__module__, factory.__qualname__
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, arguments, small_operations), daemon=True)
        self._process.start()
        theirs.close()
        self.losses: list[float] = []

    def __call__(self) -> float:
        """Does the work once and returns its rate.

        Raises:
            TfrecError: The process ended early; its own error message is on standard error.
        """
        try:
            self._connection.send(True)
            rate, self.losses = self._connection.recv()
        except (EOFError, OSError) as error:
            raise TfrecError("The process of a timed case ended early; its error stands above.") from error
        return float(rate)

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        self._process.join()


def _serve(connection: Connection, name: tuple[str, str], arguments: tuple[Any, ...], small_operations: bool) -> None:
    load_tensorflow()
    keep_freed_memory()
    if small_operations:
        use_threads_for_small_operations()
    module, function = name
    case: TimedCase = getattr(importlib.import_module(module), function)(*arguments)
    try:
        while connection.recv():
            connection.send(case())
    except EOFError:  # the benchmark has what it wanted
        return
