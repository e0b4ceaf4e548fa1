"""A small clickstream with a validation split, converted once, and a quick stand-in for training."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.training.synthetic_data import synthetic_dataset


@pytest.fixture(scope="session")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions that follow their last item: what was seen before it says almost nothing about the next one."""
    folder = tmp_path_factory.mktemp("tuning") / "dataset"
    config = ClickstreamConfig(
        num_sessions=800,
        num_items=80,
        num_categories=8,
        num_successors=4,
        follow_last=0.9,
        follow_previous=0.0,
        follow_interest=0.05,
        mean_length=8.0,
    )
    synthetic_dataset(config, folder, Console(quiet=True))
    return folder
