"""The gRPC face: PredictionService (Predict, GetModelMetadata) and ModelService (GetModelStatus)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import tensorflow as tf
from loaded_version import DEFAULT_SIGNATURE, arrays_of
from model_registry import ModelRegistry
from status_error import StatusError, invalid
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


def metadata_response(models: ModelRegistry, request: Any) -> Any:
    """Answers `GetModelMetadata`; REST uses it too."""
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for metadata_field in request.metadata_field:
        if metadata_field != "signature_def":
            raise invalid(f"Metadata field {metadata_field} is not supported")
    loaded = models.model(request.model_spec.name).get(version_of(request))
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in loaded.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = loaded.version
    response.metadata["signature_def"].Pack(signatures)
    return response


def version_of(request: Any) -> int | None:
    spec = request.model_spec
    return spec.version.value if spec.HasField("version") else None


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predictions and metadata."""

    def __init__(self, models: ModelRegistry) -> None:
        self._models = models

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(context, lambda: self._predict(request))

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(context, lambda: metadata_response(self._models, request))

    def _predict(self, request: Any) -> Any:
        spec = request.model_spec
        loaded = self._models.model(spec.name).get(version_of(request))
        outputs = loaded.predict(spec.signature_name, arrays_of(request), request.output_filter)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = loaded.version
        response.model_spec.signature_name = spec.signature_name or DEFAULT_SIGNATURE
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The state of models."""

    def __init__(self, models: ModelRegistry) -> None:
        self._models = models

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        def status() -> get_model_status_pb2.GetModelStatusResponse:
            return self._models.model(request.model_spec.name, status=True).status(version_of(request))

        return _answer(context, status)


def _answer(context: grpc.ServicerContext, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except StatusError as error:
        context.abort(error.code, error.message)
