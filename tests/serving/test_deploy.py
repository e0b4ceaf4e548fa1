"""The files in deploy/ are what TensorFlow Serving, Redis and docker compose read. Docker itself is not needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.serving.server.model_server import ModelServer
from tests.serving.tiny_model import INT_IDS, TinyModel
from tfrec.serving.client.recommender_client import DEFAULT_MODEL
from tfrec.serving.server_version import COMPOSE_TAG

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]


def batching_parameters() -> Any:
    """The message of TensorFlow Serving's session_bundle_config.proto, which tensorflow-serving-api does not hold."""
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="check", syntax="proto3")
    for name, kind in (("Int64", 3), ("String", 9)):
        file.message_type.add(name=name).field.add(name="value", number=1, type=kind, label=1)
    message = file.message_type.add(name="BatchingParameters")
    wrapped = ["max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"]
    for number, name in enumerate([*wrapped, "thread_pool_name"], start=1):
        kind = ".check.String" if name == "thread_pool_name" else ".check.Int64"
        message.field.add(name=name, number=number, type=11, type_name=kind, label=1)
    message.field.add(name="allowed_batch_sizes", number=6, type=3, label=3)
    message.field.add(name="pad_variable_length_inputs", number=7, type=8, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindMessageTypeByName("check.BatchingParameters")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(found)()
    return message_factory.MessageFactory(pool).GetPrototype(found)()


def mounted(services: dict[str, Any], flag: str, service: str) -> Path:
    """The file of this folder that a flag of a service's command names."""
    (path,) = [part.split("=", 1)[1] for part in services[service]["command"] if part.startswith(f"--{flag}=")]
    (source,) = [volume.split(":")[0] for volume in services[service]["volumes"] if volume.split(":")[1] == path]
    return DEPLOY / source


def test_the_server_is_the_one_that_exports_warn_of(services):
    for service in ("serving", "serving-batching"):
        assert services[service]["image"] == f"tensorflow/serving:${{TF_SERVING_TAG:-{COMPOSE_TAG}}}"


def test_models_config(services):
    for service in ("serving", "serving-batching"):
        text = mounted(services, "model_config_file", service).read_text()
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        (model,) = config.model_config_list.config
        assert (model.name, model.model_platform) == (DEFAULT_MODEL, "tensorflow")
        assert model.base_path == f"/models/{DEFAULT_MODEL}"
        assert any(volume.endswith(":/models:ro") for volume in services[service]["volumes"])


def test_batching_config(services):
    text = mounted(services, "batching_parameters_file", "serving-batching").read_text()
    parameters = text_format.Parse(text, batching_parameters())
    sizes = list(parameters.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == parameters.max_batch_size.value
    assert parameters.batch_timeout_micros.value < 100_000
    assert parameters.num_batch_threads.value >= 1
    assert parameters.pad_variable_length_inputs
    assert "--enable_model_warmup=false" in services["serving-batching"]["command"]


def test_compose_file(services):
    assert set(services) == {"serving", "serving-batching", "redis"}
    for name, service in services.items():
        image, tag = re.fullmatch(r"([\w/-]+):(?:\$\{\w+:-)?([\w.-]+)\}?", service["image"]).groups()
        assert image in ("tensorflow/serving", "redis")
        assert re.match(r"\d+\.\d+", tag), f"{name} is not pinned"
        assert service["healthcheck"]["test"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert services["serving-batching"]["profiles"] == ["batching"]
    assert "${REDIS_PASSWORD:?" in services["redis"]["environment"]["REDIS_PASSWORD"]
    text = (DEPLOY / "docker-compose.yml").read_text()
    assert not re.search(r"requirepass \w", text)  # no password in the file


def test_health_check_of_serving(services, server: ModelServer):
    command = services["serving"]["healthcheck"]["test"][1:]
    port = server.rest_url.rsplit(":", 1)[1]

    def check(model: str) -> int:
        words = [part.replace("/8501", f"/{port}").replace("models/recommender", f"models/{model}") for part in command]
        return subprocess.run(words, check=False, capture_output=True, timeout=60).returncode

    TinyModel(INT_IDS).save(server.root / "healthy" / "1")
    server.wait_for("healthy", 1)
    assert check("healthy") == 0
    assert check("absent") != 0


@pytest.mark.redis
def test_redis_takes_the_password_from_the_environment(services, tmp_path):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    socket = tmp_path / "redis.sock"
    line = services["redis"]["command"][2].replace("$$", "$").replace("--dir /data", f"--dir {tmp_path} --port 0")
    line = line.replace("--port 0", f"--port 0 --unixsocket {socket}")
    health = (
        services["redis"]["healthcheck"]["test"][1].replace("$$", "$").replace("redis-cli", f"redis-cli -s {socket}")
    )
    environment = {**os.environ, "REDIS_PASSWORD": "se cret$1"}
    process = subprocess.Popen(["sh", "-c", line], env=environment, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while not socket.exists() and time.monotonic() < end:
            time.sleep(0.02)

        def healthy(password: str) -> bool:
            words = {**environment, "REDIS_PASSWORD": password}
            return (
                subprocess.run(["sh", "-c", health], env=words, check=False, stderr=subprocess.DEVNULL).returncode == 0
            )

        assert healthy("se cret$1")
        assert not healthy("wrong")
        assert "se cret$1" not in Path(f"/proc/{process.pid}/cmdline").read_text()
    finally:
        environment["REDISCLI_AUTH"] = environment["REDIS_PASSWORD"]
        subprocess.run(["redis-cli", "-s", str(socket), "shutdown", "nosave"], env=environment, check=False)
        process.wait(20)
