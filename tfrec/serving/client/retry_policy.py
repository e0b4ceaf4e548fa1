"""Trying again when a server cannot be reached, within one deadline."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tfrec.errors import ConfigError, ServingError

Result = TypeVar("Result")
UNAVAILABLE = "UNAVAILABLE"
DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"


@dataclass(frozen=True)
class RetryPolicy:
    """When and how often a failed request is sent again.

    Only failures that say nothing about the request are retried: refused or broken connections, gRPC's `UNAVAILABLE`
    and HTTP 503. Requests read only, so that a repetition is safe.

    Args:
        attempts: Most tries of one request, the first included. Default: 4.
        initial_delay: Seconds before the second try. Default: 0.05.
        multiplier: Growth of the delay from try to try. Default: 2.
        max_delay: Longest delay in seconds. Default: 1.
        jitter: Share of the delay that is drawn at random, so that clients do not return in step. Default: 0.5.
    """

    attempts: int = 4
    initial_delay: float = 0.05
    multiplier: float = 2.0
    max_delay: float = 1.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.initial_delay, self.max_delay) < 0 or not 0 <= self.jitter <= 1:
            raise ConfigError(f"`{self}`: attempts must be 1 or more, delays not negative and jitter from 0 to 1.")

    def delay(self, attempt: int) -> float:
        """Returns the seconds to wait after a failed try (1 = the first)."""
        longest = min(self.max_delay, self.initial_delay * self.multiplier ** (attempt - 1))
        return longest * (1 - self.jitter * random.random())

    def run(self, attempt: Callable[[float], Result], deadline: float) -> Result:
        """Calls `attempt` with the seconds that are left until it succeeds.

        Args:
            attempt: One try; raises `ServingError`.
            deadline: Time of `time.monotonic()` at which the last try must have ended.

        Returns:
            What `attempt` returned.

        Raises:
            ServingError: The last error, when it is not one to retry, or tries or time have run out.
        """
        for number in range(1, self.attempts + 1):
            try:
                return attempt(max(0.001, deadline - time.monotonic()))
            except ServingError as error:
                if error.code != UNAVAILABLE or number == self.attempts:
                    raise
                wait = self.delay(number)
                if time.monotonic() + wait >= deadline:
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable: the last try returns or raises")
