"""The REST face: model status, metadata and `:predict`."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc
from google.protobuf import json_format
from grpc_services import metadata_response
from json_tensors import read_request, write_response
from model_registry import ModelRegistry
from status_error import StatusError, invalid
from tensorflow_serving.apis import get_model_metadata_pb2

_PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:(?:predict)", re.IGNORECASE)
_STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata)?", re.IGNORECASE)
_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


def rest_handler(models: ModelRegistry) -> type[BaseHTTPRequestHandler]:
    """Returns the request handler class over some models."""

    class RestHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open
        disable_nagle_algorithm = True
        wbufsize = -1  # one packet for head and body

        def do_GET(self) -> None:
            self._reply(self._get)

        def do_POST(self) -> None:
            self._reply(self._post)

        def log_message(self, *_: object) -> None:
            pass

        def _get(self, path: str) -> str:
            match = _STATUS.fullmatch(path)
            if match is None:
                raise invalid(f"Malformed request: GET {path}")
            name, version, metadata = unquote(match[1]), _number(match[2]), match[3]
            if not metadata:
                return _as_json(models.model(name, status=True).status(version))
            request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
            request.model_spec.name = name
            if version is not None:
                request.model_spec.version.value = version
            response = metadata_response(models, request)
            signatures = get_model_metadata_pb2.SignatureDefMap()
            response.metadata["signature_def"].Unpack(signatures)
            spec, definitions = _as_json(response.model_spec), _as_json(signatures)
            return f'{{"model_spec": {spec}, "metadata": {{"signature_def": {definitions}}}}}'

        def _post(self, path: str) -> str:
            match = _PREDICT.fullmatch(path)
            if match is None:
                raise invalid(f"Malformed request: POST {path}")
            loaded = models.model(unquote(match[1])).get(_number(match[2]))
            signature, inputs, rows = read_request(self._body, loaded.inputs_of)
            return write_response(loaded.predict(signature, inputs), rows=rows)

        def _reply(self, work: Any) -> None:
            self._body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, text = 200, work(urlsplit(self.path).path)
            except StatusError as error:
                status, text = _HTTP.get(error.code, 500), json.dumps({"error": error.message})
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return RestHandler


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _as_json(message: Any) -> str:
    options: dict[str, Any] = {"preserving_proto_field_name": True}
    try:
        return json_format.MessageToJson(message, including_default_value_fields=True, **options)
    except TypeError:  # protobuf 5 and later
        return json_format.MessageToJson(message, always_print_fields_with_no_presence=True, **options)
