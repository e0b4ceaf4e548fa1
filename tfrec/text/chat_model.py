"""Language models behind an OpenAI-compatible chat interface."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3

from tfrec.errors import ConfigError, ServingError
from tfrec.public_url import public_url

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "::1")
_RETRIED = {408: "DEADLINE_EXCEEDED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 502: "UNAVAILABLE"}
_RETRIED |= {503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
_REFUSED = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
_LONGEST_WAIT = 60.0
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class ChatSettings:
    """How a language model is asked.

    Attributes:
        base_url: What `/chat/completions` is put behind, for example `https://api.openai.com/v1`.
        model: Name of the model.
        max_tokens: Longest answer.
        temperature: 0 for the likeliest answer.
        attempts: Most tries of one request, the first included.
        first_wait: Seconds before the second try; doubled from try to try, a server's `Retry-After` goes before.
        timeout: Seconds for one try.
    """

    base_url: str
    model: str
    max_tokens: int = 200
    temperature: float = 0.0
    attempts: int = 5
    first_wait: float = 1.0
    timeout: float = 60.0


class ChatModel:
    """Asks a language model over HTTP, again when it is busy or cannot be reached.

    The key goes into the header of requests and nowhere else: not into messages, errors, caches or outputs. Redirects
    are not followed, and a key is not sent over plain HTTP except to this machine.

    Args:
        settings: Whom to ask, and how.
        key: Key of the service; empty for local servers that want none.
        sleep: Waits some seconds.

    Raises:
        ConfigError: The address is no URL, or the key would travel unprotected.

    Example:
        >>> model = ChatModel(ChatSettings("http://localhost:11434/v1", "llama3.2"))
    """

    def __init__(self, settings: ChatSettings, *, key: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        url = urllib3.util.parse_url(settings.base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigError(
                f"`{public_url(settings.base_url)}` is no address of a service.", remedy="Use https://HOST/v1."
            )
        if key and url.scheme == "http" and url.host not in _LOCAL_HOSTS:
            raise ConfigError(
                f"The key would be sent to `{url.host}` over plain HTTP.", remedy="Use an https:// address."
            )
        if not key.isascii() or any(sign.isspace() for sign in key):
            raise ConfigError("The key has spaces or signs that no key has.", remedy="Check the environment variable.")
        self.settings = settings
        self.address = public_url(settings.base_url).rstrip("/")
        self._key = key
        self._sleep = sleep
        self._path = (url.path or "").rstrip("/") + "/chat/completions"
        self._pool = urllib3.connection_from_url(settings.base_url, maxsize=32)

    def request(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Returns all that an answer depends on: the address and the body of the request."""
        settings = self.settings
        body = {
            "model": settings.model,
            "messages": list(messages),
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
        }
        return {"address": self.address, "body": body}

    def answer(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Asks once, or again when the server is busy.

        Args:
            messages: Messages with `role` and `content`.

        Returns:
            The text of the answer, without white space around it.

        Raises:
            ServingError: The service cannot be reached, refuses, or answers what is no answer.
        """
        body = json.dumps(self.request(messages)["body"]).encode()
        for number in range(1, self.settings.attempts + 1):
            try:
                return self._ask(body)
            except _BusyError as busy:
                if number == self.settings.attempts:
                    raise busy.failure from busy
                self._sleep(self._wait(number, busy.retry_after))
        raise AssertionError("unreachable: the last try returns or raises")

    def _ask(self, body: bytes) -> str:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            response = self._pool.urlopen(
                "POST",
                self._path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(total=self.settings.timeout),
            )
        except urllib3.exceptions.SSLError as error:
            raise self._failure(f"No secure connection ({error}).", "UNAUTHENTICATED") from error
        except urllib3.exceptions.HTTPError as error:
            raise _BusyError(self._failure(f"No answer ({type(error).__name__}).", "UNAVAILABLE")) from error
        if response.status != 200:
            problem = f"HTTP {response.status}: {self._shown(response.data)}"
            if response.status in _RETRIED:
                wait = response.headers.get("Retry-After", "")
                raise _BusyError(self._failure(problem, _RETRIED[response.status]), wait)
            raise self._failure(problem, _REFUSED.get(response.status, "UNKNOWN"))
        try:
            text = json.loads(response.data)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise self._failure(f"Not a chat completion: {self._shown(response.data)}", "INTERNAL") from error
        if not isinstance(text, str) or not text.strip():
            raise self._failure("The answer is empty.", "INTERNAL")
        return text.strip()

    def _wait(self, number: int, retry_after: str) -> float:
        if retry_after.isdecimal():
            return min(_LONGEST_WAIT, float(retry_after))
        longest = min(_LONGEST_WAIT, self.settings.first_wait * 2.0 ** (number - 1))
        return longest * (1 - 0.5 * random.random())

    def _failure(self, problem: str, code: str) -> ServingError:
        remedy = "Check the key in the environment." if code in ("UNAUTHENTICATED", "PERMISSION_DENIED") else ""
        return ServingError(problem, server=self.address, model=self.settings.model, code=code, remedy=remedy)

    def _shown(self, data: bytes) -> str:
        text = data.decode("utf-8", "replace").strip()
        if self._key:
            text = text.replace(self._key, "***")
        return text[:_SHOWN_CHARACTERS] or "nothing"


class _BusyError(Exception):
    """A failure that says nothing about the request."""

    def __init__(self, failure: ServingError, retry_after: str = "") -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.retry_after = retry_after
