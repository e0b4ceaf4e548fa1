"""Addresses, and what is there when the extra is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tfrec.errors import ConfigError
from tfrec.serving.client import RecommenderClient
from tfrec.serving.client.connect import connect


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8500",
        "grpc://localhost",
        "grpc://:8500",
        "grpc://localhost:8500/v1",
        "ftp://localhost:1",
        "http://user:secret@localhost:8501",
        "http://localhost:8501?x=1",
        "grpc://localhost:port",
        "",
    ],
)
def test_refused_addresses(url):
    with pytest.raises(ConfigError, match=r"grpc://host:8500, grpcs://host:port, http://host:8501"):
        connect(url)


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
