"""Paths with a scheme (`gs://`, `s3://` ...): what each needs to be read, and how long it may take to answer.

TensorFlow is imported late: workers that only read logs do without it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from typing import TypeVar

from tfrec.errors import DataError
from tfrec.public_url import public_url

ANSWER_SECONDS = 30.0
_TENSORFLOW_IO = ("s3", "http", "https", "az", "hdfs", "viewfs", "har", "oss")
# The AWS client inside tensorflow-io waits 5 minutes for a connection and tries eleven times unless told otherwise.
_ENVIRONMENT = {
    "S3_CONNECT_TIMEOUT_MSEC": "5000",
    "S3_REQUEST_TIMEOUT_MSEC": "20000",
    "AWS_RETRY_MODE": "standard",
    "AWS_MAX_ATTEMPTS": "3",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_Result = TypeVar("_Result")


class UnreachableError(DataError):
    """A remote file system does not answer, refuses or breaks off; work done so far is kept."""


def scheme_of(path: str) -> str:
    """Returns the scheme of a path in lower case, or an empty string for a local path.

    Example:
        >>> scheme_of("S3://bucket/DS"), scheme_of("C:/DS"), scheme_of("data/DS")
        ('s3', '', '')
    """
    found = _SCHEME.match(path)
    return found.group(1).lower() if found else ""


def dataset_root(path: str | os.PathLike[str]) -> str:
    """Returns the path of a dataset directory as `tf.io.gfile` takes it, with the file system of its scheme loaded.

    TensorFlow itself reads local paths, `file://` and `gs://`. For `s3://`, `http(s)://`, `az://` and `hdfs://` this
    imports tensorflow-io, with time-outs that it would lack otherwise; those in the environment take precedence
    (`S3_CONNECT_TIMEOUT_MSEC`, `S3_REQUEST_TIMEOUT_MSEC`, `AWS_MAX_ATTEMPTS`).

    Args:
        path: A local directory or a URL.

    Returns:
        The path without a slash at its end.

    Raises:
        DataError: An unknown scheme, or one that needs tensorflow-io where that is missing or does not load.
    """
    import tensorflow as tf

    root = os.fspath(path).rstrip("/") or "/"
    scheme = scheme_of(root)
    known = tf.io.gfile.get_registered_schemes()
    if not scheme or scheme in known:
        return root
    if scheme not in _TENSORFLOW_IO:
        schemes = ", ".join(f"{name}://" for name in sorted({"file", "gs", *_TENSORFLOW_IO}))
        raise DataError(
            f"Unknown scheme `{scheme}://`.", file=root, remedy=f"A dataset directory is a local path or {schemes}."
        )
    _load_tensorflow_io(scheme, root)
    return root


def answer(
    path: str, action: Callable[[], _Result], *, absent: tuple[type[Exception], ...] = (), seconds: float | None = None
) -> _Result:
    """Runs an operation on a remote file system in a thread of its own and waits for it.

    The thread is abandoned when the time is up: the C++ clients cannot be interrupted.

    Args:
        path: Named in errors.
        action: What to do.
        absent: Errors that say that there is no such file; raised as they are, like DataError.
        seconds: Time to wait; None = without end.

    Returns:
        What `action` returns.

    Raises:
        UnreachableError: No answer in time, or any other error.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(action())
        except BaseException as error:  # noqa: BLE001  each file system has errors of its own; the caller gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="tfrec-remote").start()
    try:
        error = future.exception(seconds)
    except NoAnswer:
        raise UnreachableError(
            f"No answer from `{scheme_of(path)}://` within {seconds:.0f} seconds.",
            file=path,
            remedy="Check host, credentials and network, or copy the files to a local disk.",
        ) from None
    if error is None or isinstance(error, (*absent, DataError)):
        return future.result()
    raise unreachable(path, error) from error


def unreachable(path: str, error: BaseException) -> UnreachableError:
    """Returns the error that tells the user what a remote file system said."""
    text = getattr(error, "message", None) or str(error)
    first = (str(text).strip().splitlines() or [""])[0].rstrip(".").replace(path, public_url(path))
    remedy = "Check host, credentials and network."
    if "writing output to destination" in first:  # curl, when the whole file comes for the part that was asked for
        remedy = "The server must answer range requests (`python -m http.server` does not)."
    return UnreachableError(f"Cannot be read ({type(error).__name__}: {first}).", file=path, remedy=remedy)


def _load_tensorflow_io(scheme: str, root: str) -> None:
    import tensorflow as tf

    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    reason = "does not bring it"
    try:
        importlib.import_module("tensorflow_io")
    except ModuleNotFoundError:
        reason = "is not installed (there is none for TensorFlow after 2.16)"
    except (ImportError, OSError, RuntimeError, NotImplementedError, AttributeError, tf.errors.OpError) as error:
        reason = f"does not load ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"
    if scheme not in tf.io.gfile.get_registered_schemes():
        raise DataError(
            f"`{scheme}://` needs tensorflow-io, which {reason}.",
            file=root,
            remedy="Copy the dataset to a local directory or to gs://, or use the Python 3.10 stack (`make setup`).",
        )
    _leave_at_exit()


def _leave_at_exit() -> None:
    """Ends the process before C++ destroys the S3 client, which aborts it (exit code 134) in tensorflow-io 0.35 - 0.37.

    Python has ended by then: its `atexit` handlers have run and its streams are flushed. glibc passes the exit code on.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)
