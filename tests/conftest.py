"""Shared fixtures. TensorFlow's thread pools are pinned so that parallel test workers do not fight for two cores."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest

import tfrec  # noqa: F401  sets the Keras flags before anything imports TensorFlow

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-stack", action="store_true", help="run tests marked `one_stack` on this stack too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that cannot tell one TensorFlow from another, and take long, run on the Python 3.10 stack only."""
    if sys.version_info < (3, 11) or config.getoption("--every-stack"):
        return
    elsewhere = pytest.mark.skip(reason="runs on the Python 3.10 stack (here with --every-stack)")
    for item in items:
        if item.get_closest_marker("one_stack"):
            item.add_marker(elsewhere)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the public data sets: `TFREC_DATA`, else `../shared/data` beside the project."""
    folder = Path(os.environ.get("TFREC_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found in {folder} (set TFREC_DATA)")
    return folder


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder with outputs of the reference implementations: `TFREC_GOLDEN`, else `../shared/golden`."""
    folder = Path(os.environ.get("TFREC_GOLDEN", ROOT.parent / "shared" / "golden"))
    if not folder.is_dir():
        pytest.skip(f"golden values not found in {folder} (set TFREC_GOLDEN)")
    return folder
