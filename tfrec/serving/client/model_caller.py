"""Calls of one model: its signatures looked up once, tries repeated, a version change on the server survived."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tfrec.errors import ConfigError, ServingError, did_you_mean
from tfrec.serving.client.model_metadata import ModelMetadata, Signature, VersionStatus
from tfrec.serving.client.retry_policy import DEADLINE_EXCEEDED, UNAVAILABLE, Result, RetryPolicy
from tfrec.serving.client.transport import Arrays, Transport

_MAYBE_OTHER_VERSION = ("NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION")


class ModelCaller:
    """Sends requests to one model of one server.

    Args:
        transport: gRPC or REST.
        model: Name of the model on the server.
        version: Version to ask for. Default: the one in service.
        timeout: Seconds for one request, all tries together.
        retry: When to try again.
    """

    def __init__(
        self, transport: Transport, model: str, version: int | None, timeout: float, retry: RetryPolicy
    ) -> None:
        if not timeout > 0:
            raise ConfigError(f"`timeout` must be positive, received {timeout}.")
        self._transport = transport
        self._model = model
        self._version = version
        self._timeout = timeout
        self._retry = retry
        self._lock = threading.Lock()
        self._known: ModelMetadata | None = None

    @property
    def metadata(self) -> ModelMetadata:
        """The signatures, from memory where they are known."""
        with self._lock:
            known = self._known
        return self.fetch_metadata() if known is None else known

    def fetch_metadata(self) -> ModelMetadata:
        """Asks the server for the signatures."""
        return self._refresh(time.monotonic() + self._timeout)

    def status(self) -> list[VersionStatus]:
        """Asks the server for the versions."""
        return self._run(lambda left: self._transport.status(self._model, left), time.monotonic() + self._timeout, None)

    def predict(self, name: str, build: Callable[[ModelMetadata, Signature], Arrays]) -> Arrays:
        """Runs a signature.

        The signatures known may be those of a version that has been replaced: when the server refuses a request, they
        are fetched again, and if another version is in service, the request is built anew and sent once more.

        Args:
            name: Name of the signature.
            build: Makes the inputs for the signature as the model declares it.

        Returns:
            Outputs by name.

        Raises:
            ServingError: The model, the version or the signature is not there, or the server failed.
        """
        deadline = time.monotonic() + self._timeout
        with self._lock:
            known = self._known
        if known is None:
            return self._predict(name, build, self._refresh(deadline), deadline)
        try:
            return self._predict(name, build, known, deadline)
        except (ServingError, ConfigError) as error:
            if isinstance(error, ServingError) and error.code not in _MAYBE_OTHER_VERSION:
                raise
            newer = self._refresh(deadline)
            if newer.version == known.version:
                raise
        return self._predict(name, build, newer, deadline)

    def _predict(
        self, name: str, build: Callable[[ModelMetadata, Signature], Arrays], metadata: ModelMetadata, deadline: float
    ) -> Arrays:
        signature = metadata.signatures.get(name)
        if signature is None:
            raise ServingError(
                f"Version {metadata.version} has no such signature.",
                server=self._transport.address,
                model=self._model,
                signature=name,
                code="NOT_FOUND",
                remedy=did_you_mean(name, metadata.signatures),
            )
        inputs = build(metadata, signature)
        return self._run(
            lambda left: self._transport.predict(self._model, self._version, signature, inputs, left), deadline, name
        )

    def _refresh(self, deadline: float) -> ModelMetadata:
        metadata = self._run(lambda left: self._transport.metadata(self._model, self._version, left), deadline, None)
        with self._lock:
            self._known = metadata
        return metadata

    def _run(self, attempt: Callable[[float], Result], deadline: float, signature: str | None) -> Result:
        tries = 0

        def counted(left: float) -> Result:
            nonlocal tries
            tries += 1
            return attempt(left)

        try:
            return self._retry.run(counted, deadline)
        except ServingError as error:
            remedy = {
                UNAVAILABLE: f"Given up after {tries} {'try' if tries == 1 else 'tries'}. Is the server running there?",
                DEADLINE_EXCEEDED: f"The limit is {self._timeout:g} s for all tries together; raise `timeout`.",
                "NOT_FOUND": "Check the name of the model and its version.",
            }.get(error.code, "")
            if not remedy:
                raise
            raise ServingError(
                error.reason,
                server=self._transport.address,
                model=self._model,
                signature=signature,
                code=error.code,
                remedy=remedy,
            ) from error
