"""Addresses, and what is there when the extra is not installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.client.flaky_servers import Certificate, Flaky, flaky_server
from tfrec.errors import ConfigError, ServingError
from tfrec.serving.client import RecommenderClient, RetryPolicy, VersionStatus
from tfrec.serving.client.connect import connect


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("localhost:8500", "begins with none of"),
        ("grpc://localhost", "names no port"),
        ("grpc://:8500", "names no host"),
        ("grpc://localhost:8500/v1", "has a path"),
        ("ftp://localhost:1", "begins with none of"),
        ("http://user:secret@localhost:8501", "name or password"),
        ("grpc://secret@localhost:8500", "name or password"),
        ("http://user:1/secret@localhost:8501", "name or password"),
        ("http://localhost:8501?token=secret", "query"),
        ("https://localhost/#secret", "fragment"),
        ("grpc://localhost:secret", "cannot be read"),
        ("", "begins with none of"),
    ],
)
def test_refused_addresses_name_the_rule_and_not_the_address(url, rule):
    with pytest.raises(ConfigError, match=rf"{rule}.*grpc://host:8500, grpcs://host:port, http://host:8501") as caught:
        connect(url)
    assert "secret" not in str(caught.value)


def test_accepted_addresses(tmp_path):
    pairs = {
        "grpc://[::1]:8500": "grpc://[::1]:8500",
        "grpcs://models.example:443": "grpcs://models.example:443",
        "http://localhost:8501/": "http://localhost:8501",
        "https://gateway.example/models": "https://gateway.example/models",
    }
    for url, address in pairs.items():
        transport = connect(url)
        assert transport.address == address
        transport.close()
    with pytest.raises(ConfigError, match=r"certificate file `.*ca\.pem` does not exist"):
        connect("https://localhost:8501", ca_file=tmp_path / "ca.pem")
    with pytest.raises(ConfigError, match="`timeout` must be positive"):
        RecommenderClient("http://localhost:8501", timeout=0)


def test_grpc_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(ConfigError, match=r"pip install 'tfrec\[serving\]'\. Or use REST"):
        connect("grpc://localhost:8500")


def test_rest_needs_no_tensorflow():
    code = "import sys; from tfrec.serving.client import RecommenderClient as C; C('http://localhost:1'); "
    code += "print([name for name in ('tensorflow', 'grpc', 'keras') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder: Path = tmp_path_factory.mktemp("certificate")
    files = Certificate(folder / "key.pem", folder / "chain.pem")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    arguments = [*command.split(), "-keyout", str(files.key), "-out", str(files.chain)]
    subprocess.run(arguments, check=True, capture_output=True)
    return files


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_secure_connections_need_a_trusted_certificate(kind, certificate):
    once = RetryPolicy(attempts=1)
    with flaky_server(kind, Flaky(), certificate) as url:
        assert url.startswith(("grpcs://", "https://"))
        with RecommenderClient(url, ca_file=certificate.chain, timeout=120, retry=once) as client:
            assert client.status() == [VersionStatus(3, "AVAILABLE")]
        with RecommenderClient(url, timeout=120, retry=once) as client, pytest.raises(ServingError) as caught:
            client.status()
        assert caught.value.code in ("UNAUTHENTICATED", "UNAVAILABLE")
