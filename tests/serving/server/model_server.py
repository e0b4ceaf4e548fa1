"""Starts the test server in a process of its own and knows its addresses."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "run.py"


@dataclass(frozen=True)
class ModelServer:
    """Attributes: folder of the models (a subfolder each), and the two addresses as the client wants them."""

    root: Path
    grpc_url: str
    rest_url: str

    @property
    def urls(self) -> list[str]:
        return [self.grpc_url, self.rest_url]

    def wait_for(self, model: str, version: int, seconds: float = 300.0) -> None:
        """Returns when a version of a model is in service."""
        end = time.monotonic() + seconds
        last = "not seen"
        while time.monotonic() < end:
            with contextlib.suppress(urllib.error.HTTPError):
                with urllib.request.urlopen(f"{self.rest_url}/v1/models/{model}/versions/{version}") as response:
                    (state,) = json.load(response)["model_version_status"]
                last = str(state)
                if state["state"] == "AVAILABLE":
                    return
                if state["state"] == "END" and state["status"]["error_message"]:
                    break
            time.sleep(0.05)
        raise TimeoutError(f"model `{model}` version {version} is not in service: {last}")


@contextlib.contextmanager
def model_server(root: Path) -> Iterator[ModelServer]:
    """Serves every model of a folder on free ports until the block ends."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--root", str(root), "--plain-graphs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the test server did not start, exit code {process.wait()}")
        ports = json.loads(line)
        yield ModelServer(root, f"grpc://127.0.0.1:{ports['grpc']}", f"http://127.0.0.1:{ports['rest']}")
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
