"""A connection on which many commands are sent before their replies are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Replies = list[Any]


class BulkChannel:
    """Sends packed commands and hands over their replies group by group, in order; a context manager.

    While the server executes one group, the next is packed: at most `ahead` groups wait for their replies.

    Args:
        client: A `redis.Redis`; its settings (address, TLS, password) are used for a connection of its own.
        ahead: Groups that may wait.
    """

    def __init__(self, client: Any, *, ahead: int = 1) -> None:
        self._connection = client.connection_pool.make_connection()
        self._ahead = ahead
        self._waiting: deque[tuple[int, Callable[[Replies], None] | None]] = deque()

    def __enter__(self) -> BulkChannel:
        self._connection.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.disconnect()

    def send(self, *commands: bytes | NDArray[np.uint8]) -> None:
        """Sends packed commands; `expect` must follow.

        Raises:
            redis.RedisError: The connection broke off.
        """
        self._connection.send_packed_command(list(commands), check_health=False)

    def send_command(self, *arguments: str | bytes | int) -> None:
        """Packs and sends one command."""
        self._connection.send_packed_command(self._connection.pack_command(*arguments), check_health=False)

    def expect(self, replies: int, then: Callable[[Replies], None] | None = None) -> None:
        """Says how many replies the commands sent since the last call bring, and what takes them.

        Args:
            replies: Number of replies.
            then: Takes them; groups without it do not count for `ahead`.

        Raises:
            redis.RedisError: An earlier command failed, or the connection broke off.
        """
        self._waiting.append((replies, then))
        while sum(taker is not None for _, taker in self._waiting) > self._ahead:
            self._receive()

    def drain(self) -> None:
        """Reads all replies that are due."""
        while self._waiting:
            self._receive()

    def _receive(self) -> None:
        count, then = self._waiting.popleft()
        replies = [self._connection.read_response() for _ in range(count)]
        if then is not None:
            then(replies)
