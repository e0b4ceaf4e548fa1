"""What an approximate index answers to the golden requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.serving.export_error import ExportError
from tfrec.serving.golden_requests import Request
from tfrec.serving.replay import TOLERANCE, binary

_RANKED = ("serving_default", "recommend", "examples", "session_step")


def take_answers(requests: Sequence[Request], signatures: Mapping[str, Any]) -> float:
    """Replaces the lists of exact search by those of an approximate index, after a check of their scores.

    Returns:
        The share of the exact lists of `k` items that the index finds, over the histories of the golden requests.

    Raises:
        ExportError: A score is not that of the model.
    """
    found = wanted = 0
    for request in requests:
        if request["signature"] not in _RANKED:
            continue
        function = signatures[request["signature"]]
        specs = function.structured_input_signature[1]
        outputs = function(**{name: _constant(request["inputs"][name], spec) for name, spec in specs.items()})
        received = {name: _plain(value) for name, value in outputs.items()}
        exact = request["outputs"]
        for row, count in enumerate(exact["count"]):
            known = dict(zip(exact["items"][row][:count], exact["scores"][row], strict=False))
            own = dict(zip(received["items"][row][: received["count"][row]], received["scores"][row], strict=False))
            if request["signature"] == "serving_default" and request["inputs"]["history_length"][row]:
                wanted += count  # other requests are answered exactly anyway: allow-lists, empty histories
                found += len(known.keys() & own.keys())
            for item in known.keys() & own.keys():
                if abs(known[item] - own[item]) > TOLERANCE * max(1.0, abs(known[item])):
                    raise ExportError(f"The index gives item `{item}` the score {own[item]}, the model {known[item]}.")
        request["outputs"] = received
    return round(found / max(1, wanted), 6)


def _constant(value: Any, spec: tf.TensorSpec) -> tf.Tensor:
    plain = binary(value)
    return tf.constant(plain, spec.dtype, shape=np.shape(plain))


def _plain(value: tf.Tensor) -> Any:
    def text(inner: Any) -> Any:
        if isinstance(inner, list):
            return [text(one) for one in inner]
        return inner.decode() if isinstance(inner, bytes) else inner

    return text(value.numpy().tolist())
