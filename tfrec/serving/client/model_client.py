"""What the clients of all kinds of models have in common: the connection, and what a server says of a model."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TypeVar

from tfrec.serving.client.connect import connect
from tfrec.serving.client.model_caller import ModelCaller
from tfrec.serving.client.model_metadata import ModelMetadata, VersionStatus
from tfrec.serving.client.retry_policy import RetryPolicy

_Client = TypeVar("_Client", bound="ModelClient")


class ModelClient:
    """Asks one model of one server; a context that closes its connections.

    Args:
        url: `grpc://host:port`, `grpcs://host:port`, `http://host:port` or `https://host:port`. gRPC needs the extra
            `serving`; REST needs nothing more, not even TensorFlow.
        model: Name of the model on the server.
        version: Version to ask for. Default: the one in service.
        timeout: Seconds for one request, all tries together. Default: 5.
        retry: When to try again. Default: `RetryPolicy()`.
        ca_file: PEM file of the certificates to trust, for `grpcs` and `https`.

    Raises:
        ConfigError: The address or an option is not valid, or the extra is missing.

    All methods raise `ServingError` when the server cannot be reached in time or refuses.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        version: int | None = None,
        timeout: float = 5.0,
        retry: RetryPolicy | None = None,
        ca_file: str | Path | None = None,
    ) -> None:
        self._transport = connect(url, ca_file=ca_file)
        self._caller = ModelCaller(self._transport, model, version, timeout, retry or RetryPolicy())

    def __enter__(self: _Client) -> _Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def status(self) -> list[VersionStatus]:
        """Returns the versions of the model on the server, the newest first, and whether they are `AVAILABLE`."""
        return self._caller.status()

    def metadata(self) -> ModelMetadata:
        """Returns version, id type and signatures of the model in service, asked from the server."""
        return self._caller.fetch_metadata()
