"""Servers that fail on purpose: so many times, then never again; or that answer when they are told to."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

HTTP_STATUS = {"UNAVAILABLE": 503, "INTERNAL": 500, "RESOURCE_EXHAUSTED": 429}


class Flaky:
    """The plan. Args: failures before the first answer, their gRPC code, whether answers wait for `release`."""

    def __init__(self, failures: int = 0, code: str = "UNAVAILABLE", *, holds: bool = False) -> None:
        self.failures = failures
        self.code = code
        self.release = threading.Event()
        if not holds:
            self.release.set()
        self.calls = 0
        self.connections: set[Any] = set()

    def fails(self) -> bool:
        self.calls += 1
        self.release.wait(60)
        return self.calls <= self.failures


@dataclass(frozen=True)
class Certificate:
    """Files of a key and its certificate, which makes a server use TLS."""

    key: Path
    chain: Path


@contextlib.contextmanager
def flaky_server(kind: str, plan: Flaky, certificate: Certificate | None = None) -> Iterator[str]:
    """Runs a server of the `status` method; gives its address."""
    with (_grpc if kind == "grpc" else _rest)(plan, certificate) as address:
        yield address


@contextlib.contextmanager
def _grpc(plan: Flaky, certificate: Certificate | None) -> Iterator[str]:
    class Models(model_service_pb2_grpc.ModelServiceServicer):
        def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
            plan.connections.add(context.peer())
            if plan.fails():
                context.abort(grpc.StatusCode[plan.code], "on purpose")
            response = get_model_status_pb2.GetModelStatusResponse()
            response.model_version_status.add(version=3, state=30)
            return response

    server = grpc.server(ThreadPoolExecutor(2))
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(), server)
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (certificate.key.read_bytes(), certificate.chain.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield f"{'grpc' if certificate is None else 'grpcs'}://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def _rest(plan: Flaky, certificate: Certificate | None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            plan.connections.add(self.client_address)
            failed = plan.fails()
            body = (
                {"error": "on purpose"}
                if failed
                else {"model_version_status": [{"version": "3", "state": "AVAILABLE"}]}
            )
            content = json.dumps(body).encode()
            with contextlib.suppress(OSError):  # the client has gone
                self.send_response(HTTP_STATUS[plan.code] if failed else 200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
