"""gRPC to TensorFlow Serving."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrec.errors import ConfigError, ServingError
from tfrec.serving.client.model_metadata import ModelMetadata, Signature, TensorDeclaration, VersionStatus
from tfrec.serving.client.transport import Arrays

_OPTIONS = [
    ("grpc.enable_retries", 0),  # the client's own policy decides
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


class GrpcTransport:
    """Talks to `PredictionService` and `ModelService` over one channel.

    Args:
        target: `host:port`.
        secure: Whether to use TLS.
        ca_file: PEM file of the certificates to trust. Default: those gRPC brings along.

    Attributes:
        address: URL, for messages.

    Raises:
        ConfigError: grpcio or tensorflow-serving-api is not installed.
    """

    def __init__(self, target: str, *, secure: bool, ca_file: Path | None = None) -> None:
        try:
            import grpc
            import tensorflow as tf
            from tensorflow.core.framework import tensor_pb2, types_pb2
            from tensorflow_serving.apis import (
                get_model_metadata_pb2,
                get_model_status_pb2,
                model_service_pb2_grpc,
                predict_pb2,
                prediction_service_pb2_grpc,
            )
        except ImportError as error:
            raise ConfigError(
                f"gRPC needs a package that is not installed ({error}).",
                remedy="Install the extra: pip install 'tfrec[serving]'. Or use REST: http://host:8501.",
            ) from error
        self.address = f"{'grpcs' if secure else 'grpc'}://{target}"
        self._grpc, self._tf = grpc, tf
        self._tensor_pb2, self._types_pb2 = tensor_pb2, types_pb2
        self._metadata_pb2, self._status_pb2, self._predict_pb2 = (
            get_model_metadata_pb2,
            get_model_status_pb2,
            predict_pb2,
        )
        if secure:
            trusted = None if ca_file is None else ca_file.read_bytes()
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(trusted), options=_OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, options=_OPTIONS)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self,
        model: str,
        version: int | None,
        signature: Signature,
        inputs: Mapping[str, npt.NDArray[Any]],
        timeout: float,
    ) -> Arrays:
        """Runs a signature and returns its outputs by name."""
        request = self._predict_pb2.PredictRequest()
        _name(request.model_spec, model, version)
        request.model_spec.signature_name = signature.name
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(self._tensor(value, signature.inputs[name]))
        response = self._call(self._predictions.Predict, request, model, signature.name, timeout)
        return {name: self._array(tensor) for name, tensor in response.outputs.items()}

    def metadata(self, model: str, version: int | None, timeout: float) -> ModelMetadata:
        """Returns the signatures of the version in service."""
        request = self._metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        _name(request.model_spec, model, version)
        response = self._call(self._predictions.GetModelMetadata, request, model, None, timeout)
        definitions = self._metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(definitions)
        signatures = {
            name: Signature(name, self._declarations(definition.inputs), self._declarations(definition.outputs))
            for name, definition in definitions.signature_def.items()
        }
        return ModelMetadata(model, response.model_spec.version.value, signatures)

    def status(self, model: str, timeout: float) -> list[VersionStatus]:
        """Returns the state of all versions, the newest first."""
        request = self._status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        response = self._call(self._models.GetModelStatus, request, model, None, timeout)
        names = self._status_pb2.ModelVersionStatus.State
        return [
            VersionStatus(entry.version, names.Name(entry.state), entry.status.error_message)
            for entry in sorted(response.model_version_status, key=lambda entry: -entry.version)
        ]

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _call(self, method: Any, request: Any, model: str, signature: str | None, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except self._grpc.RpcError as error:
            raise ServingError(
                _sentence(error.details() or "no details"),
                server=self.address,
                model=model,
                signature=signature,
                code=error.code().name,
            ) from error

    def _tensor(self, array: npt.NDArray[Any], declared: TensorDeclaration) -> Any:
        tensor = self._tensor_pb2.TensorProto()
        tensor.dtype = self._tf.dtypes.as_dtype(declared.dtype).as_datatype_enum
        for size in array.shape:
            tensor.tensor_shape.dim.add().size = size
        if declared.dtype == "string":
            tensor.string_val.extend(value if isinstance(value, bytes) else value.encode() for value in array.flat)
        else:
            tensor.tensor_content = np.ascontiguousarray(array, declared.dtype).tobytes()
        return tensor

    def _array(self, tensor: Any) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = self._tf.make_ndarray(tensor)
        if array.dtype != object:
            return array
        text = np.empty(array.shape, object)
        text.reshape(-1)[:] = [value.decode() for value in array.flat]
        return text

    def _declarations(self, tensors: Mapping[str, Any]) -> dict[str, TensorDeclaration]:
        return {
            name: TensorDeclaration.of(
                self._types_pb2.DataType.Name(info.dtype),
                None if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim],
            )
            for name, info in tensors.items()
        }


def _name(spec: Any, model: str, version: int | None) -> None:
    spec.name = model
    if version is not None:
        spec.version.value = version


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
