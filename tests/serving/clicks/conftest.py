"""One planted log of impressions for all tests of exported click models."""

from __future__ import annotations

import pytest

from tests.harness.planted_impressions import planted_impressions
from tfrec.data.impressions.impression_dataset import ImpressionDataset


@pytest.fixture(scope="session")
def impression_data(tmp_path_factory: pytest.TempPathFactory) -> ImpressionDataset:
    return planted_impressions(tmp_path_factory.mktemp("impressions"))
