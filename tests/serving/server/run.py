"""A stand-in for TensorFlow Serving: gRPC and REST over export directories, in a process of its own.

It is built on tensorflow-serving-api's generated servicers and runs a model the way TensorFlow Serving does, a session
over the graph of the SavedModel; of Python it needs TensorFlow, tensorflow-serving-api and grpcio only. Ports come as
one JSON line on standard output; the process ends when its standard input is closed.

    python tests/serving/server/run.py --model shop=exports/shop --grpc-port 8500 --rest-port 8501
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import tensorflow as tf
from grpc_services import ModelService, PredictionService
from model_registry import ModelRegistry
from rest_handler import rest_handler
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=DIR", help="may be repeated")
    parser.add_argument("--root", type=Path, help="folder each of whose subfolders is a model")
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--rest-port", type=int, default=0)
    parser.add_argument("--poll", type=float, default=0.2, help="seconds between two looks for new versions")
    parser.add_argument("--plain-graphs", action="store_true", help="do not optimise graphs: models load sooner")
    arguments = parser.parse_args()
    sys.modules["tfrec"] = None  # type: ignore[assignment]  # whatever is served must not need it
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    models = {name: Path(path) for name, path in (model.split("=", 1) for model in arguments.model)}
    registry = ModelRegistry(models, arguments.root, arguments.poll, plain=arguments.plain_graphs)
    server = grpc.server(
        ThreadPoolExecutor(8),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(registry), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(registry), server)
    grpc_port = server.add_insecure_port(f"127.0.0.1:{arguments.grpc_port}")
    server.start()
    rest = _HttpServer(("127.0.0.1", arguments.rest_port), rest_handler(registry))
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    print(json.dumps({"grpc": grpc_port, "rest": rest.server_address[1], "pid": os.getpid()}), flush=True)
    sys.stdin.read()
    server.stop(None)
    os._exit(0)


if __name__ == "__main__":
    main()
