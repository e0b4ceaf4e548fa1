"""Requests with which TensorFlow Serving warms up a version before it serves it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrec.serving.replay import binary

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
NOTE_FILE = "assets.extra/no_warmup.txt"
_PER_SIGNATURE = 2


def write_warmup(
    folder: Path, model: str, requests: Sequence[Mapping[str, Any]], signatures: Mapping[str, Any]
) -> bool:
    """Writes the first golden requests of every signature as a TFRecord file of `PredictionLog`s.

    Without the package tensorflow-serving-api, which has these messages, a note is left instead.

    Args:
        folder: The version directory.
        model: Name under which the model is served.
        requests: Golden requests.
        signatures: Traced signatures, which know the types of their inputs.

    Returns:
        Whether the file was written.
    """
    try:
        predict = importlib.import_module("tensorflow_serving.apis.predict_pb2")
        log = importlib.import_module("tensorflow_serving.apis.prediction_log_pb2")
    except ImportError as error:
        (folder / NOTE_FILE).write_text(
            f"No warm-up requests: {error}. Install tensorflow-serving-api and export again.\n", encoding="utf-8"
        )
        return False
    written: dict[str, int] = {}
    with tf.io.TFRecordWriter(str(folder / WARMUP_FILE)) as writer:
        for request in requests:
            signature = request["signature"]
            written[signature] = written.get(signature, 0) + 1
            if written[signature] > _PER_SIGNATURE:
                continue
            message = predict.PredictRequest()
            message.model_spec.name = model
            message.model_spec.signature_name = signature
            for name, spec in signatures[signature].structured_input_signature[1].items():
                value = binary(request["inputs"][name])
                message.inputs[name].CopyFrom(tf.make_tensor_proto(value, spec.dtype, shape=tf.constant(value).shape))
            entry = log.PredictionLog(predict_log=log.PredictLog(request=message))
            writer.write(entry.SerializeToString())
    return True
