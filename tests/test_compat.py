"""TensorFlow is imported when it is needed, without what it prints at start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TENSORFLOW = """
import os
os.write(2, b"noise of the library")
class config:
    def list_physical_devices():
        os.write(2, b"noise of devices")
        config.asked = True
"""
PROGRAM = """
import sys, tfrec
from tfrec.compat import load_tensorflow_when_needed
load_tensorflow_when_needed()
finders = len(sys.meta_path)
import tensorflow
assert tensorflow.__loader__ is tensorflow.__spec__.loader
left = finders - len(sys.meta_path)
print(type(tensorflow.__loader__).__name__, "keras" in sys.modules, tensorflow.config.asked, left)
print("said afterwards", file=sys.stderr)
"""


def run_with_stub(folder: Path, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "tensorflow.py").write_text(text)
    (folder / "keras.py").write_text("")
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    path = os.pathsep.join((str(folder), str(Path(__file__).parents[1])))
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, capture_output=True, text=True, env={**kept, "PYTHONPATH": path, **variables})


def test_the_first_import_of_tensorflow_is_quiet_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = run_with_stub(tmp_path, TENSORFLOW)
    assert result.stdout.split() == ["SourceFileLoader", "True", "True", "1"]
    assert result.stderr == "said afterwards\n"


def test_who_asks_for_messages_gets_them(tmp_path: Path) -> None:
    result = run_with_stub(tmp_path, TENSORFLOW, TF_CPP_MIN_LOG_LEVEL="0")
    assert "noise of the library" in result.stderr


def test_a_failed_import_is_said(tmp_path: Path) -> None:
    result = run_with_stub(tmp_path, "raise ImportError('no such library')")
    assert result.returncode == 1
    assert "ImportError: no such library" in result.stderr
