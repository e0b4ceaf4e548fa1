"""Every registered click model is exported and answers as `tfrec.predict`; new ones join by registration alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.click_export_test import run_click_export_test
from tests.harness.tiny_click_run import CLICK_MODELS
from tfrec.data.impressions.impression_dataset import ImpressionDataset

pytestmark = pytest.mark.usefixtures("graphs_as_they_are")


@pytest.mark.parametrize("name", CLICK_MODELS)
def test_raw_columns_saved_and_loaded(name: str, impression_data: ImpressionDataset, tmp_path: Path) -> None:
    run_click_export_test(name, impression_data, tmp_path)
