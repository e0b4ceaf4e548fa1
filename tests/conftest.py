"""Shared fixtures. TensorFlow's thread pools are pinned so that parallel test workers do not fight for two cores."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest

import tfrec  # noqa: F401  sets the Keras flags before anything imports TensorFlow

ROOT = Path(__file__).resolve().parent.parent


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
