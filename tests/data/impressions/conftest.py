"""A small generated log of impressions, converted once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.config.impression_world_config import ImpressionWorldConfig
from tfrec.config.load import read_yaml
from tfrec.data.impressions.impression_conversion import convert_impressions
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.impressions.impression_options import impression_options
from tfrec.data.impressions.impression_world import ImpressionWorld

SCHEMA = Path(__file__).parents[3] / "configs" / "impressions" / "toss.yaml"


@pytest.fixture(scope="session")
def impression_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "train.parquet"
    ImpressionWorld(ImpressionWorldConfig(num_rows=3000, median_length=20, click_rate=0.1, missing_rate=0.01)).write(
        path
    )
    return path


@pytest.fixture(scope="session")
def impression_dataset(impression_log: Path, tmp_path_factory: pytest.TempPathFactory) -> ImpressionDataset:
    output = tmp_path_factory.mktemp("dataset") / "DS"
    convert_impressions(
        impression_options(output=str(output), impressions=read_yaml(SCHEMA), input=(str(impression_log),), shards=3)
    )
    return ImpressionDataset.open(output)
