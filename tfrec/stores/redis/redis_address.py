"""Where a Redis server is, without ever showing its password."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tfrec.errors import ConfigError

URL_VARIABLE = "TFREC_REDIS_URL"
_REMEDY = "For example redis://localhost:6379/0, rediss://:PASSWORD@host:6380/0 or unix:///run/redis.sock."
_ENCODE = "Percent-encode `/`, `#`, `?`, `@` in passwords."
_NUMBER = re.compile(r"(/[0-9]*)?")
_SOCKET_SECONDS = 30.0


class RedisAddress:
    """A Redis URL: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database.

    Options of redis-py may follow as a query, e.g. `?ssl_ca_certs=/etc/ca.pem`. Signs with a meaning in URLs must be
    percent-encoded in a password. A URL in which they are not may still be one, of another host: `redis://:1/x@host`
    has the port 1. So an `@` behind the host is refused, and so is a path that is no number of a database.

    Args:
        url: The URL. Default: that of the environment variable `TFREC_REDIS_URL`.

    Raises:
        ConfigError: There is none, or it is not a URL of Redis; the message does not repeat it.

    Example:
        >>> RedisAddress("rediss://ann:secret@cache:6380/2?ssl_cert_reqs=none")
        RedisAddress(rediss://ann:***@cache:6380/2)
    """

    def __init__(self, url: str | None = None) -> None:
        chosen = url or os.environ.get(URL_VARIABLE, "")
        if not chosen:
            raise ConfigError("No Redis server is named.", remedy=f"Pass --redis URL or set {URL_VARIABLE}. {_REMEDY}")
        try:
            parts = urlsplit(chosen)
            port = parts.port
        except ValueError:
            raise ConfigError("The Redis URL cannot be read.", remedy=f"{_ENCODE} {_REMEDY}") from None
        if parts.scheme not in ("redis", "rediss", "unix") or (parts.scheme == "unix" and not parts.path):
            raise ConfigError("The Redis URL must begin with redis://, rediss:// or unix:///PATH.", remedy=_REMEDY)
        behind = (parts.path, parts.query, parts.fragment)
        if any("@" in part for part in behind) or (parts.scheme != "unix" and not _NUMBER.fullmatch(parts.path)):
            raise ConfigError(
                "Behind the host of the Redis URL there is more than the number of a database.",
                remedy=f"{_ENCODE} {_REMEDY}",
            )
        options = parse_qs(parts.query)
        self._url = chosen
        self._secrets = [
            parts.password or "",
            unquote(parts.password or ""),
            *(value for name, values in options.items() if "password" in name for value in values),
        ]
        # A name without a password may be one in the wrong place.
        login = f"{parts.username or ''}:***@" if parts.password else "***@" if parts.username else ""
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        place = host + (f":{port}" if port else "")
        self.shown = f"{parts.scheme}://{login}{'' if parts.scheme == 'unix' else place}{parts.path}"

    def __repr__(self) -> str:
        return f"RedisAddress({self.shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return RedisAddress, (self._url,)

    def mask(self, text: str) -> str:
        """Returns a text without the password and the URL."""
        text = text.replace(self._url, self.shown)
        for secret in filter(None, self._secrets):
            text = text.replace(secret, "***")
        return text

    def client(self, *, retries: int = 0) -> Any:
        """Returns a `redis.Redis` that answers with bytes.

        Args:
            retries: How often it reconnects by itself.

        Raises:
            ConfigError: An option of the query is wrong.
        """
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry

        try:
            return redis.Redis.from_url(
                self._url,
                retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries),
                socket_timeout=_SOCKET_SECONDS,
                socket_connect_timeout=5.0,
            )
        except (ValueError, TypeError) as error:
            raise ConfigError(f"The Redis URL has a wrong option: {self.mask(str(error))}", remedy=_REMEDY) from None
