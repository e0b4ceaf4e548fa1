"""Logs of TFX, Beam and TensorFlow go to a file: the terminal is for people."""

from __future__ import annotations

import datetime
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def quiet_logs(folder: Path | None, *, debug: bool = False) -> Iterator[Path | None]:
    """Context in which log messages and warnings go to a file of their own.

    Args:
        folder: Where the file is put; None: messages are dropped.
        debug: Leave everything as it is.

    Yields:
        The file.
    """
    if debug:
        yield None
        return
    path = None
    handler: logging.Handler = logging.NullHandler()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
        handler = logging.FileHandler(path, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(), logging.getLogger("absl"), logging.getLogger("tensorflow")]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers[:] = []
    loggers[0].addHandler(handler)
    loggers[0].setLevel(logging.INFO)
    for logger in loggers[1:]:
        logger.propagate = True
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            yield path
    finally:
        logging.captureWarnings(False)
        for logger, handlers, level, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
        handler.close()
