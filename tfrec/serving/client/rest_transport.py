"""REST to TensorFlow Serving."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy.typing as npt
import urllib3

from tfrec.errors import ServingError
from tfrec.serving.client.json_tensors import request_body, response_outputs
from tfrec.serving.client.model_metadata import ModelMetadata, Signature, VersionStatus
from tfrec.serving.client.retry_policy import DEADLINE_EXCEEDED, UNAVAILABLE
from tfrec.serving.client.transport import Arrays

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: UNAVAILABLE,
    504: DEADLINE_EXCEEDED,
}
_CONNECTIONS = 32
_SHOWN_CHARACTERS = 300


class RestTransport:
    """Talks to `/v1/models/...` over connections that are kept open.

    Args:
        url: `http://host:port` or `https://host:port`, with a path before `/v1` where a gateway wants one.
        ca_file: PEM file of the certificates to trust. Default: those of the system.

    Attributes:
        address: The URL, for messages.
    """

    def __init__(self, url: str, *, ca_file: Path | None = None) -> None:
        self.address = url.rstrip("/")
        self._prefix = urllib3.util.parse_url(self.address).path or ""
        options: dict[str, Any] = {"maxsize": _CONNECTIONS}
        if self.address.startswith("https") and ca_file is not None:
            options["ca_certs"] = str(ca_file)
        self._pool = urllib3.connection_from_url(self.address, **options)

    def predict(
        self,
        model: str,
        version: int | None,
        signature: Signature,
        inputs: Mapping[str, npt.NDArray[Any]],
        timeout: float,
    ) -> Arrays:
        """Runs a signature and returns its outputs by name."""
        body = request_body(signature, inputs)
        answer = self._call("POST", _path(model, version) + ":predict", body, model, signature.name, timeout)
        try:
            return response_outputs(answer, signature)
        except (ValueError, KeyError, TypeError) as error:
            raise self._garbled(answer, model, signature.name) from error

    def metadata(self, model: str, version: int | None, timeout: float) -> ModelMetadata:
        """Returns the signatures of the version in service."""
        answer = self._call("GET", _path(model, version) + "/metadata", None, model, None, timeout)
        try:
            return ModelMetadata.from_json(json.loads(answer))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._garbled(answer, model, None) from error

    def status(self, model: str, timeout: float) -> list[VersionStatus]:
        """Returns the state of all versions, the newest first."""
        answer = self._call("GET", _path(model, None), None, model, None, timeout)
        try:
            entries = [
                VersionStatus(int(entry["version"]), entry["state"], entry.get("status", {}).get("error_message", ""))
                for entry in json.loads(answer)["model_version_status"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._garbled(answer, model, None) from error
        return sorted(entries, key=lambda entry: -entry.version)

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def _call(
        self, method: str, path: str, body: bytes | None, model: str, signature: str | None, timeout: float
    ) -> bytes:
        def failure(problem: str, code: str) -> ServingError:
            return ServingError(problem, server=self.address, model=model, signature=signature, code=code)

        try:
            response = self._pool.urlopen(
                method,
                self._prefix + path,
                body=body,
                headers={"Content-Type": "application/json"} if body is not None else None,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(total=timeout),
                assert_same_host=False,
            )
        except urllib3.exceptions.SSLError as error:
            raise failure(f"No secure connection ({error}).", "UNAUTHENTICATED") from error
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ProtocolError) as error:
            raise failure(f"No connection ({_reason(error)}).", UNAVAILABLE) from error
        except urllib3.exceptions.TimeoutError as error:
            raise failure("No answer in time.", DEADLINE_EXCEEDED) from error
        except urllib3.exceptions.HTTPError as error:
            raise failure(f"No answer ({error}).", "UNKNOWN") from error
        if response.status != 200:
            raise failure(_error_text(response.data, response.status), _CODES.get(response.status, "INTERNAL"))
        data: bytes = response.data
        return data

    def _garbled(self, answer: bytes, model: str, signature: str | None) -> ServingError:
        shown = answer[:_SHOWN_CHARACTERS].decode(errors="replace")
        return ServingError(
            f"The answer is not what TensorFlow Serving sends: {shown}",
            server=self.address,
            model=model,
            signature=signature,
            code="INTERNAL",
            remedy="Check the address: REST is on port 8501 by default, gRPC on 8500.",
        )


def _path(model: str, version: int | None) -> str:
    return f"/v1/models/{quote(model, safe='')}" + (f"/versions/{version}" if version is not None else "")


def _reason(error: Exception) -> str:
    return str(error).rsplit(": ", 1)[-1].strip("()'\" ")


def _error_text(body: bytes, status: int) -> str:
    text = body[:_SHOWN_CHARACTERS].decode(errors="replace")
    try:
        text = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):  # TensorFlow Serving's escapes are not always valid JSON
        text = text.strip() or "no details"
    return f"HTTP {status}: {text}" + ("" if text.endswith(".") else ".")
