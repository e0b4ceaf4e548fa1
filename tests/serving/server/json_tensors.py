"""TensorFlow Serving's JSON: requests in row or column format to arrays, arrays to responses.

Rules: integers are JSON numbers without a fraction and inside their type's range; strings are JSON strings or
`{"b64": ...}`; lists must be regular; outputs whose name ends in `_bytes` are written in base64; a signature with one
output is answered without its name; floats are written with 6 digits, with 9 where 6 lose something. Numbers that are
not finite are written as TensorFlow Serving writes them (`NaN`, `-Infinity`), which strict parsers refuse.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from status_error import invalid


def read_request(body: bytes, inputs_of: Callable[[str], Mapping[str, Any]]) -> tuple[str, dict[str, np.ndarray], bool]:
    """Parses the body of `:predict`.

    Args:
        body: JSON.
        inputs_of: Gives the inputs (name to `TensorInfo`) of a signature.

    Returns:
        Signature name, inputs, and whether they came in row format.
    """
    try:
        document = json.loads(body)
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid("JSON Value is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid("'signature_name' key must be a string value.")
    declared = inputs_of(signature)
    if "instances" in document and "inputs" in document:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        return signature, _from_rows(document["instances"], declared), True
    if "inputs" in document:
        return signature, _from_columns(document["inputs"], declared), False
    raise invalid("Missing 'inputs' or 'instances' key")


def write_response(outputs: Mapping[str, np.ndarray], *, rows: bool) -> str:
    """Writes the body of a successful `:predict`."""
    if not rows:
        columns = {name: _written(value, name) for name, value in outputs.items()}
        return '{\n    "outputs": ' + _object_or_value(columns) + "\n}"
    sizes = {value.shape[:1] for value in outputs.values()}
    if len(sizes) != 1 or () in sizes:
        raise invalid("Outputs have inconsistent batch sizes")
    (size,) = sizes.pop()
    lines = [
        _object_or_value({name: _written(value[row], name) for name, value in outputs.items()}) for row in range(size)
    ]
    return '{\n    "predictions": [' + ", ".join(lines) + "]\n}"


def _object_or_value(written: Mapping[str, str]) -> str:
    if len(written) == 1:
        return next(iter(written.values()))
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in written.items()) + "}"


def _from_rows(instances: Any, declared: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(instances, list) or not instances:
        raise invalid("Expecting 'instances' to be a list/array with at least one value")
    if all(isinstance(row, dict) and not _is_base64(row) for row in instances):
        for number, row in enumerate(instances):
            if set(row) != set(declared):
                names = ",".join(sorted(declared))
                raise invalid(
                    f"Failed to process element: {number} of 'instances' list. keys must be equal to: {names}"
                )
        return {name: _tensor([row[name] for row in instances], name, info) for name, info in declared.items()}
    if len(declared) > 1:
        raise invalid("instances is a plain list, but expecting list of objects as multiple input tensors required")
    ((name, info),) = declared.items()
    return {name: _tensor(instances, name, info)}


def _from_columns(inputs: Any, declared: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(inputs, dict) or _is_base64(inputs):
        if len(declared) > 1:
            raise invalid("inputs is a plain value/list, but expecting an object as multiple input tensors required")
        ((name, info),) = declared.items()
        return {name: _tensor(inputs, name, info)}
    for name in declared:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _tensor(inputs[name], name, info) for name, info in declared.items()}


def _tensor(value: Any, name: str, info: Any) -> np.ndarray:
    dtype = tf.dtypes.as_dtype(info.dtype)
    shape: list[int] = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        if not level:
            break
        level = level[0]
    flat: list[Any] = []
    _flatten(value, shape, dtype, name, flat)
    array = np.empty(len(flat), dtype.as_numpy_dtype)
    array[:] = flat
    return array.reshape(shape)


def _flatten(value: Any, shape: list[int], dtype: tf.DType, name: str, flat: list[Any]) -> None:
    if not shape:
        flat.append(_scalar(value, dtype, name))
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        raise invalid(f"input `{name}`: Encountered list at unexpected size, expected size: {shape[0]}")
    for part in value:
        _flatten(part, shape[1:], dtype, name, flat)


def _scalar(value: Any, dtype: tf.DType, name: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if dtype == tf.string and isinstance(value, str):
        return value.encode()
    if dtype == tf.string and _is_base64(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as error:
            raise invalid("Unable to base64 decode") from error
    if dtype == tf.bool and isinstance(value, bool):
        return value
    if dtype.is_integer and number and isinstance(value, int) and dtype.min <= value <= dtype.max:
        return value
    if dtype.is_floating and number:
        return value
    raise invalid(f"input `{name}`: JSON Value: {json.dumps(value)} is not of expected type: {dtype.name}")


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _written(value: Any, name: str) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return "[" + ", ".join(_written(part, name) for part in value) + "]"
    plain = value.item() if isinstance(value, np.ndarray | np.generic) else value
    if isinstance(plain, bytes):
        return json.dumps({"b64": base64.b64encode(plain).decode()} if name.endswith("_bytes") else plain.decode())
    if isinstance(plain, float):
        return _decimal(plain, np.asarray(value).dtype)
    return json.dumps(plain)


def _decimal(value: float, dtype: np.dtype[Any]) -> str:
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    text = f"{value:.6g}"
    if dtype.type(float(text)) != dtype.type(value):
        text = f"{value:.{9 if dtype == np.float32 else 17}g}"
    return text if "." in text or "e" in text else f"{text}.0"
