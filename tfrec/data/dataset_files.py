"""The files of a dataset directory, local or remote: read, measured and compared with what the manifest says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import tensorflow as tf

from tfrec.data import remote_paths
from tfrec.data.remote_paths import scheme_of, unreachable
from tfrec.errors import DataError
from tfrec.files import size_and_sha256

COPY_AGAIN = "Copy the dataset again from its origin, or convert the data again."
"""Remedy where a file is not what was written."""

_STATS_AT_ONCE = 16
_CONNECTION_ERRORS = (
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnauthenticatedError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)
_Result = TypeVar("_Result")


def read_file(path: str) -> bytes:
    """Returns the content of a file.

    Raises:
        DataError: It is missing.
    """

    def read() -> bytes:
        with tf.io.gfile.GFile(path, "rb") as file:
            content: bytes = file.read()
            return content

    try:
        return _access(path, read)
    except tf.errors.NotFoundError as error:
        raise DataError("The file is missing from the dataset.", file=path, remedy=COPY_AGAIN) from error


def file_size(path: str) -> int | None:
    """Returns the size of a file in bytes; None when it does not exist."""
    try:
        size: int = _access(path, lambda: tf.io.gfile.stat(path).length, seconds=remote_paths.ANSWER_SECONDS)
    except (tf.errors.NotFoundError, tf.errors.FailedPreconditionError):  # the latter: below a file
        return None
    return size


def check_sizes(root: str, expected: Iterable[tuple[str, int]]) -> None:
    """Checks that files are there and as long as the manifest says; remote ones several at once.

    Args:
        root: The dataset directory.
        expected: Paths in it, with sizes in bytes.

    Raises:
        DataError: A file is missing or has another size.
    """
    with ThreadPoolExecutor(_STATS_AT_ONCE if scheme_of(root) else 1) as pool:
        list(pool.map(lambda file: _check_size(f"{root}/{file[0]}", file[1]), expected))


def check_digests(root: str, expected: Iterable[tuple[str, str]]) -> None:
    """Reads files and compares checksums.

    Args:
        root: The dataset directory.
        expected: Paths in it, with the sha256 that the manifest has.

    Raises:
        DataError: A file differs from what was written; the message names it.
    """
    for relative, digest in expected:
        path = f"{root}/{relative}"
        if _sha256(path) != digest:
            raise DataError(
                "The file is damaged: its sha256 is not the one in the manifest.", file=path, remedy=COPY_AGAIN
            )


@contextmanager
def explained_data_loss(root: str, verify: Callable[[], None]) -> Iterator[None]:
    """Context in which a damaged shard met while reading becomes a DataError that names it.

    Args:
        root: The dataset directory.
        verify: Raises DataError that names the damaged file.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        verify()
        if isinstance(error, tf.errors.DataLossError):
            raise DataError(f"A shard cannot be read: {error.message}", file=root, remedy=COPY_AGAIN) from error
        raise
    except _CONNECTION_ERRORS as error:
        if scheme_of(root):
            raise unreachable(root, error) from error
        raise


def _check_size(path: str, expected: int) -> None:
    size = file_size(path)
    if size is None:
        raise DataError("The file is named in the manifest but missing.", file=path, remedy=COPY_AGAIN)
    if size != expected:
        raise DataError(f"The file has {size:,} bytes, the manifest says {expected:,}.", file=path, remedy=COPY_AGAIN)


def _sha256(path: str) -> str:
    def digest() -> str:
        with tf.io.gfile.GFile(path, "rb") as file:
            return size_and_sha256(file)[1]

    return _access(path, digest)


def _access(path: str, action: Callable[[], _Result], *, seconds: float | None = None) -> _Result:
    """Runs a file operation; on a remote path its errors name the path, but for NotFoundError."""
    if not scheme_of(path):
        return action()
    return remote_paths.answer(path, action, absent=(tf.errors.NotFoundError,), seconds=seconds)
