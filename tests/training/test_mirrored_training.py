"""Two replicas compute what one device computes, also where the last batch has one sequence for the two of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.training.synthetic_data import synthetic_dataset

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_two_replicas_train_what_one_device_trains(tmp_path: Path) -> None:
    data = tmp_path / "dataset"
    synthetic_dataset(ClickstreamConfig(num_sessions=150, num_items=30, num_categories=6), data, Console(quiet=True))
    program = [sys.executable, str(ROOT / "tests" / "harness" / "mirrored_training.py"), str(data), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(program, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]

    facts = json.loads((tmp_path / "facts.json").read_text())
    single, mirrored = facts["single"], facts["mirrored"]
    assert (single["replicas"], mirrored["replicas"]) == (1, 2)
    assert mirrored["last_batch"] == 1
    for count in ("events", "mini_batches"):
        assert float(single[count]) == float(mirrored[count]) > 0
    np.testing.assert_allclose(float(mirrored["loss"]), float(single["loss"]), rtol=1e-5)
    with np.load(tmp_path / "single.npz") as one, np.load(tmp_path / "mirrored.npz") as two:
        assert one.files == two.files
        for name in one.files:
            np.testing.assert_allclose(two[name], one[name], atol=1e-4)
    assert "gradient_cap" in facts["capped"]
    assert "one device" in facts["capped"]
