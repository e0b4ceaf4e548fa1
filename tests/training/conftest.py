"""A small clickstream, converted once per test session."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.training.synthetic_data import synthetic_dataset


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clicks") / "dataset"
    config = ClickstreamConfig(num_sessions=600, num_items=60, num_categories=6)
    synthetic_dataset(config, folder, Console(quiet=True))
    return folder
