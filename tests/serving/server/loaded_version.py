"""One version of a model: the graph and session that TensorFlow Serving would make of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from status_error import StatusError, invalid
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

DEFAULT_SIGNATURE = "serving_default"
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_WARMUP_RECORDS = 1000
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class LoadedVersion:
    """Loads a SavedModel into a session of its own and replays its warm-up file; an error of either is raised.

    Args:
        path: Directory with `saved_model.pb`.
        version: Its number.
        plain: Leave graphs as they are: optimising them pays only when they run often. Default: false.

    Attributes:
        signatures: Signature definitions by name.
        warmed_up: Number of replayed warm-up records.
    """

    def __init__(self, path: Path, version: int, *, plain: bool = False) -> None:
        self.version = version
        self._graph = tf.Graph()
        options = tf.compat.v1.ConfigProto()
        options.graph_options.rewrite_options.disable_meta_optimizer = plain
        with self._graph.as_default():
            self._session = tf.compat.v1.Session(graph=self._graph, config=options)
            meta_graph = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(path))
        self.signatures = {
            name: signature for name, signature in meta_graph.signature_def.items() if name != "__saved_model_init_op"
        }
        self._calls: dict[tuple[str, tuple[str, ...]], Callable[..., list[Any]]] = {}
        self._lock = threading.Lock()
        self.warmed_up = self._warm_up(path / WARMUP_FILE)

    def inputs_of(self, signature: str) -> Mapping[str, Any]:
        """The inputs (name to `TensorInfo`) of a signature, for requests in JSON."""
        name = signature or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return self.signatures[name].inputs

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], output_filter: Collection[str] = ()
    ) -> dict[str, np.ndarray]:
        """Runs a signature as `PredictionService.Predict` does."""
        name = signature or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        declared = self.signatures[name]
        expected, received = set(declared.inputs), set(inputs)
        if expected != received:
            raise invalid(
                f"input size does not match signature: {len(received)}!={len(expected)} len({{{_names(received)}}}) != "
                f"len({{{_names(expected)}}}). Sent extra: {{{_names(received - expected)}}}. "
                f"Missing but required: {{{_names(expected - received)}}}."
            )
        for key, value in inputs.items():
            wanted = tf.dtypes.as_dtype(declared.inputs[key].dtype)
            got = tf.string if value.dtype == object else tf.dtypes.as_dtype(value.dtype)
            if got != wanted:
                raise invalid(f"input `{key}`: expected dtype {wanted.name}, got {got.name}")
        wanted_outputs = tuple(output_filter) or tuple(sorted(declared.outputs))
        for alias in wanted_outputs:
            if alias not in declared.outputs:
                raise invalid(
                    f"output tensor alias not found in signature: {alias} "
                    f"Outputs expected to be in the set {{{_names(declared.outputs)}}}."
                )
        call = self._callable(name, wanted_outputs)
        try:
            results = call(*(inputs[key] for key in sorted(declared.inputs)))
        except tf.errors.OpError as error:
            raise StatusError(_CODES[error.error_code], error.message) from error
        except (ValueError, TypeError) as error:  # the feed does not fit the placeholder
            raise invalid(str(error)) from error
        return dict(zip(wanted_outputs, results, strict=True))

    def _callable(self, name: str, outputs: tuple[str, ...]) -> Callable[..., list[Any]]:
        with self._lock:
            if (name, outputs) not in self._calls:
                declared = self.signatures[name]
                self._calls[name, outputs] = self._session.make_callable(
                    [declared.outputs[alias].name for alias in outputs],
                    [self._graph.get_tensor_by_name(declared.inputs[key].name) for key in sorted(declared.inputs)],
                )
            return self._calls[name, outputs]

    def _warm_up(self, path: Path) -> int:
        if not path.exists():
            return 0
        replayed = 0
        for record in tf.compat.v1.io.tf_record_iterator(str(path)):
            if replayed == MAX_WARMUP_RECORDS:
                raise invalid(f"Number of warmup records exceeds the maximum {MAX_WARMUP_RECORDS}")
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") != "predict_log":
                raise invalid(f"Unsupported log_type for warmup: {log.WhichOneof('log_type')}")
            request = log.predict_log.request
            self.predict(request.model_spec.signature_name, arrays_of(request), request.output_filter)
            replayed += 1
        return replayed


def arrays_of(request: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
    """The inputs of a request as arrays."""
    try:
        return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    except (ValueError, TypeError) as error:
        raise invalid(f"tensor parsing error: {error}") from error


def _names(names: Collection[str]) -> str:
    return ",".join(sorted(names))
