"""Arrays to TensorFlow Serving's JSON and back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError
from tfrec.serving.client.model_metadata import Signature, TensorDeclaration


def request_body(signature: Signature, inputs: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Writes a request in column format, the one that allows inputs without a batch dimension.

    Args:
        signature: The signature to run.
        inputs: Arrays by input name; bytes among strings are sent as `{"b64": ...}`, missing numbers (float64, not a
            number) as `NaN`, which TensorFlow Serving reads.

    Returns:
        The body.

    Raises:
        ConfigError: A number is infinite, or one of another type is not finite.
    """
    for value in inputs.values():
        if value.dtype.kind == "f" and np.any(np.isinf(value) if value.dtype == np.float64 else ~np.isfinite(value)):
            raise ConfigError("A number of the request is not finite, which JSON cannot carry.")
    columns = {name: _json(value) for name, value in inputs.items()}
    return json.dumps({"signature_name": signature.name, "inputs": columns}, separators=(",", ":")).encode()


def response_outputs(body: bytes, signature: Signature) -> dict[str, npt.NDArray[Any]]:
    """Reads a response in column format; a signature with one output is answered without its name.

    Args:
        body: JSON.
        signature: The signature that was run.

    Returns:
        Arrays by output name, strings as object arrays of `str`.

    Raises:
        ValueError, KeyError, TypeError: The body is not a response of this signature.
    """
    outputs = json.loads(body)["outputs"]
    if len(signature.outputs) == 1 and not (isinstance(outputs, dict) and set(outputs) == set(signature.outputs)):
        outputs = {next(iter(signature.outputs)): outputs}
    return {name: _array(outputs[name], declared) for name, declared in signature.outputs.items()}


def _json(array: npt.NDArray[Any]) -> Any:
    if array.dtype != object:
        return array.tolist()
    if array.ndim:
        return [_json(part) if isinstance(part, np.ndarray) else _text(part) for part in array]
    return _text(array.item())


def _text(value: str | bytes) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _array(value: Any, declared: TensorDeclaration) -> npt.NDArray[Any]:
    return np.array(value, object if declared.dtype == "string" else declared.dtype)
