"""The test server speaks TensorFlow Serving's protocol: bodies and codes as its documentation and source have them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc

from tests.serving.server.model_server import ModelServer
from tests.serving.tiny_model import INT_IDS, TinyModel


class HalfPlusTwo(tf.Module):
    """Outputs of every kind that JSON has rules for."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def half(self, x):
        return {"y": x / 2 + 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.bool)])
    def kinds(self, text, flag):
        return {"image_bytes": text, "text": text, "big": tf.cast(flag, tf.int64) * (2**62 + 1), "flag": ~flag}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def checked(self, n):
        with tf.control_dependencies([tf.debugging.assert_positive(n, "n must be positive")]):
            return {"n": n + 1}


@pytest.fixture(scope="module")
def half(server: ModelServer) -> ModelServer:
    module = HalfPlusTwo()
    path = server.root / "half" / ".7.partial"
    signatures = {"serving_default": module.half, "kinds": module.kinds, "checked": module.checked}
    tf.saved_model.save(module, str(path), signatures=signatures)
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "checked"
    request.inputs["n"].CopyFrom(tf.make_tensor_proto([1], tf.int32))
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    (path / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(path / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    path.rename(server.root / "half" / "7")
    server.wait_for("half", 7)
    return server


def send(server: ModelServer, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{server.rest_url}/v1/models/{path}", data) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def predict(server: ModelServer, signature: str, inputs: dict[str, Any], model: str = "half") -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    with grpc.insecure_channel(server.grpc_url.removeprefix("grpc://")) as channel:
        return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=10)


def test_row_and_column_format(half):
    assert send(half, "half:predict", {"instances": [1.0, 2.0, 5]}) == (200, {"predictions": [2.5, 3.0, 4.5]})
    assert send(half, "half/versions/7:predict", {"inputs": {"x": [1.0]}}) == (200, {"outputs": [2.5]})
    assert send(half, "half:predict", {"inputs": [3]}) == (200, {"outputs": [3.5]})
    rows = [{"text": "a", "flag": True}, {"text": {"b64": "w7w="}, "flag": False}]
    status, body = send(half, "half:predict", {"signature_name": "kinds", "instances": rows})
    assert (status, body["predictions"]) == (
        200,
        [
            {"image_bytes": {"b64": "YQ=="}, "text": "a", "big": 4611686018427387905, "flag": False},
            {"image_bytes": {"b64": "w7w="}, "text": "ü", "big": 0, "flag": True},
        ],
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("nobody:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(nobody)"),
        ("half/versions/8:predict", {"instances": [1]}, 404, "Servable not found for request: Specific(half, 8)"),
        ("half:predict", {"signature_name": "no", "instances": [1]}, 400, 'name: "no" not found in signature def'),
        ("half:predict", {"instances": [1], "inputs": [1]}, 400, "only one of 'inputs' or 'instances'"),
        ("half:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("half:predict", b"{", 400, "JSON Parse error"),
        ("half:predict", {"instances": ["1"]}, 400, "is not of expected type: float"),
        ("half:predict", {"instances": [[1], [2, 3]]}, 400, "unexpected size"),
        ("half:predict", {"instances": []}, 400, "at least one value"),
        ("half:predict", {"signature_name": "checked", "instances": [1.0]}, 400, "not of expected type: int32"),
        ("half:predict", {"signature_name": "checked", "instances": [2**31]}, 400, "not of expected type: int32"),
        ("half:predict", {"signature_name": "checked", "instances": [0]}, 400, "n must be positive"),
        ("half:predict", {"signature_name": "kinds", "inputs": {"text": ["a"]}}, 400, "Missing named input: flag"),
        ("half:classify", {"examples": []}, 400, "Malformed request"),
        ("nobody", None, 404, "Could not find any versions of model nobody"),
        ("half/versions/8", None, 404, "Could not find version 8 of model half"),
    ],
)
def test_errors_of_rest(half, path, body, status, words):
    code, answer = send(half, path, body)
    assert code == status
    assert list(answer) == ["error"]
    assert words in answer["error"]


@pytest.mark.parametrize(
    ("signature", "inputs", "model", "code", "words"),
    [
        ("", {"x": np.float32([1])}, "nobody", "NOT_FOUND", "Servable not found for request: Latest(nobody)"),
        ("no", {"x": np.float32([1])}, "half", "FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
        ("", {"y": np.float32([1])}, "half", "INVALID_ARGUMENT", "Missing but required: {x}"),
        ("", {"x": np.int32([1])}, "half", "INVALID_ARGUMENT", "expected dtype float32, got int32"),
        ("", {"x": np.float32([[1]])}, "half", "INVALID_ARGUMENT", "shape"),
        ("checked", {"n": np.int32([-1])}, "half", "INVALID_ARGUMENT", "n must be positive"),
    ],
)
def test_errors_of_grpc(half, signature, inputs, model, code, words):
    with pytest.raises(grpc.RpcError) as caught:
        predict(half, signature, inputs, model)
    assert caught.value.code().name == code
    assert words in caught.value.details()


def test_grpc_answers_with_version_and_signature(half):
    response = predict(half, "", {"x": np.float32([4])})
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half", 7, "serving_default")
    assert tf.make_ndarray(response.outputs["y"]).tolist() == [4.0]


def test_status_and_metadata(half):
    available = {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert send(half, "half") == (200, {"model_version_status": [available]})
    status, body = send(half, "half/metadata")
    assert (status, body["model_spec"]["version"]) == (200, "7")
    x = body["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["x"]
    assert (x["dtype"], x["tensor_shape"]["dim"]) == ("DT_FLOAT", [{"size": "-1", "name": ""}])


def test_warm_up_that_fails_keeps_a_version_out(half):
    path = half.root / "cold" / ".1.partial"
    TinyModel(INT_IDS).save(path)
    (path / "assets.extra").mkdir()
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = "encode_user"
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    with tf.io.TFRecordWriter(str(path / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    path.rename(half.root / "cold" / "1")
    with pytest.raises(TimeoutError, match=r"Missing but required: \{history,history_length\}"):
        half.wait_for("cold", 1)
    assert send(half, "cold:predict", {"instances": [1]})[0] == 404
