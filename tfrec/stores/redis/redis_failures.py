"""What went wrong at the server, for people, and whether it may pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import exceptions

from tfrec.errors import TfrecError
from tfrec.stores.redis.redis_address import URL_VARIABLE, RedisAddress
from tfrec.stores.store_errors import StoreError, StoreUnreachableError

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


def may_pass(error: Exception) -> bool:
    """Whether the same may succeed later: the connection broke off, no answer in time, the server is loading."""
    refused = exceptions.AuthenticationError | exceptions.AuthorizationError
    return isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError) and not isinstance(error, refused)


def explain(error: Exception, address: RedisAddress) -> TfrecError:
    """Returns what to tell about an error of redis-py."""
    where, said = address.shown, address.mask(str(error))
    if isinstance(error, exceptions.AuthenticationError):
        return StoreError(
            f"Redis at {where} does not accept the user or password, or needs one: {said.rstrip('.')}.",
            remedy=f"Give them in the URL, redis://USER:PASSWORD@HOST (USER may be empty), best by {URL_VARIABLE}.",
        )
    if isinstance(error, exceptions.OutOfMemoryError):  # type: ignore[attr-defined]
        return StoreError(
            f"Redis at {where} is out of memory: {said}.",
            remedy="A new version needs room beside the live one: raise `maxmemory`, or remove old versions with "
            "--prune --keep 1. Then run the command again: it continues where it stopped.",
        )
    if isinstance(error, exceptions.ReadOnlyError):
        return StoreError(f"Redis at {where} is read-only: {said}.", remedy="Name the primary, not a replica.")
    if isinstance(error, exceptions.NoPermissionError | exceptions.AuthorizationError):
        return StoreError(f"The user may not do this at Redis {where}: {said}.", remedy="Ask for the permission.")
    if may_pass(error):
        return StoreUnreachableError(
            f"Redis at {where} does not answer: {said.rstrip('.')}.",
            remedy="Check address, port, TLS (rediss://) and that the server runs.",
        )
    return StoreError(f"Redis at {where} refused: {said.rstrip('.')}.")


@contextmanager
def explained(address: RedisAddress) -> Iterator[None]:
    """Context in which errors of redis-py become errors of this package."""
    try:
        yield
    except exceptions.RedisError as error:
        raise explain(error, address) from None


class Patience:
    """Waits after errors that may pass, ever longer, until too much time has gone by without progress.

    Args:
        address: The server, for messages.
        first_seconds: How long a server is waited for that has never answered.
        seconds: How long one is waited for that has.
        sleep: Waits.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        first_seconds: float,
        seconds: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address
        self._limit = min(first_seconds, seconds)
        self._later_limit = seconds
        self._sleep = sleep
        self._since: float | None = None
        self._waits = 0
        self.failures = 0

    def progress(self) -> None:
        """Says that the server has answered."""
        self._limit, self._since, self._waits = self._later_limit, None, 0

    def wait(self, error: Exception) -> None:
        """Waits before the next attempt.

        Raises:
            TfrecError: The error will not pass, or has lasted too long.
        """
        if not may_pass(error):
            raise explain(error, self._address) from None
        now = time.monotonic()
        self.failures += 1
        if self._since is None:
            self._since = now
        left = self._limit - (now - self._since)
        if left <= 0:
            raise explain(error, self._address) from None
        self._sleep(min(_FIRST_WAIT * 2**self._waits, _LONGEST_WAIT, left))
        self._waits += 1
