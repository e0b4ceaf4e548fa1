"""What gRPC and REST have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt

from tfrec.serving.client.model_metadata import ModelMetadata, Signature, VersionStatus

Arrays = dict[str, npt.NDArray[Any]]


class Transport(Protocol):
    """One way to talk to a server; every method makes one try and may be called from several threads.

    String tensors are object arrays: `str` or `bytes` go in, `str` comes out. Errors are `ServingError`.

    Attributes:
        address: For messages.
    """

    address: str

    def predict(
        self,
        model: str,
        version: int | None,
        signature: Signature,
        inputs: Mapping[str, npt.NDArray[Any]],
        timeout: float,
    ) -> Arrays:
        """Runs a signature and returns its outputs by name."""

    def metadata(self, model: str, version: int | None, timeout: float) -> ModelMetadata:
        """Returns the signatures of the version in service."""

    def status(self, model: str, timeout: float) -> list[VersionStatus]:
        """Returns the state of all versions, the newest first."""

    def close(self) -> None:
        """Closes the connections."""
