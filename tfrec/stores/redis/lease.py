"""Only one publication at a time writes below a prefix."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfrec.stores.store_errors import StoreError

LEASE_SECONDS = 30.0
_RENEW_SECONDS = 5.0

# Renews the lease, takes it where it is nobody's (the server may have lost it), or says whose it is.
_KEEP = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
_TAKE_OVER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Lease:
    """The right to write below a prefix, renewed while work goes on and expiring after a crash.

    A process of the same machine that has ended is recognised: what it left is taken over at once.

    Args:
        key: Name of the key.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.token = f"{_place()}|{os.getpid()}|{_started(os.getpid())}|{secrets.token_hex(4)}"
        self._renewed = 0.0

    @contextmanager
    def held(self, client: Any) -> Iterator[Lease]:
        """Context in which the lease is held.

        Args:
            client: A `redis.Redis`.

        Raises:
            StoreError: Someone else is writing.
        """
        self.acquire(client)
        try:
            yield self
        finally:
            self.release(client)

    def acquire(self, client: Any) -> None:
        """Takes the lease; waits for it to expire when a process of another machine left it.

        Raises:
            StoreError: Someone else is writing.
        """
        longest = left = None
        until = time.monotonic() + LEASE_SECONDS + 1.0
        while (owner := self._keep(client)) is not None:
            if _has_ended(owner) and client.eval(_TAKE_OVER, 1, self.key, owner, self.token, int(LEASE_SECONDS * 1000)):
                break
            left = client.pttl(self.key)
            renewed = longest is not None and left > longest
            if renewed or time.monotonic() > until or _is_alive(owner):
                raise StoreError(
                    f"Another publication is writing to `{self.key.removesuffix(':meta:lease')}`: {_describe(owner)}.",
                    remedy="Wait for it to end, or use another --prefix.",
                )
            longest = left
            time.sleep(0.5)
        self._renewed = time.monotonic()

    def keep(self, client: Any) -> None:
        """Renews the lease when it is time to.

        Raises:
            StoreError: Someone else has it now.
        """
        if time.monotonic() - self._renewed > _RENEW_SECONDS:
            owner = self._keep(client)
            if owner is not None:
                raise StoreError(
                    f"This publication was interrupted for so long that another took over: {_describe(owner)}."
                )
            self._renewed = time.monotonic()

    def release(self, client: Any) -> None:
        """Gives the lease back."""
        client.eval(_RELEASE, 1, self.key, self.token)

    def _keep(self, client: Any) -> str | None:
        owner = client.eval(_KEEP, 1, self.key, self.token, int(LEASE_SECONDS * 1000))
        return None if owner is None else owner.decode()


def _place() -> str:
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}|{namespace.readlink() if namespace.exists() else ''}"


def _started(pid: int) -> str:
    """Returns when a process started, in ticks since boot; empty when it does not run or this is not known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _here(owner: str) -> bool:
    return owner.startswith(f"{_place()}|") and Path("/proc/self/stat").exists()


def _is_alive(owner: str) -> bool:
    _, _, pid, started, _ = owner.split("|")
    return _here(owner) and _started(int(pid)) == started


def _has_ended(owner: str) -> bool:
    return _here(owner) and not _is_alive(owner)


def _describe(owner: str) -> str:
    host, _, pid, *_ = owner.split("|")
    return f"process {pid} on `{host}`"
