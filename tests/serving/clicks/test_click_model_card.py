"""The model card of an evaluated click model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.harness.tiny_click_run import tiny_click_run
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.serving.clicks.click_model_card import click_model_card
from tfrec.training.model_store import load_run

OWN = {"auc": 0.75, "logloss": 0.25, "ap": 0.5, "wll": 0.125, "score": 0.625, "score_balanced": 0.6}
EVALUATION: dict[str, Any] = {
    "split": "test",
    "rows": 12345,
    "metrics": {**OWN, "auc_low": 0.7, "auc_high": 0.8, "calibration_error": 0.0125},
    "baselines": {"prior": {**OWN, "auc": 0.5}},
    "alarms": [{"message": "Something is odd."}],
}


def test_what_it_says(impression_data: ImpressionDataset, tmp_path: Path) -> None:
    tiny_click_run(tmp_path / "run", "dnn", impression_data)
    (tmp_path / "run" / "evaluation.json").write_text(json.dumps(EVALUATION))
    encoder = impression_data.encoder
    export: dict[str, Any] = {
        **{"model": "dnn", "version": 3, "created": "2026-01-02", "versions": {"tfrec": "0.1", "tensorflow": "2.16"}},
        **{"signatures": ["score"], "config": {"calibrate": "none"}, "logit_shift": 0.0, "label": "clicked"},
        **{"run": "RUN", "data": "DS", "checkpoint": "tiny:abc", "schema_hash": "0f", "fields_hash": "1f"},
        **{"click_rate": 0.3, "inputs": {name: {"input": name, "type": "text"} for name in encoder.fields.columns}},
    }
    loaded = load_run(tmp_path / "run")
    text = click_model_card(export, loaded, encoder)
    assert text.startswith("# dnn, version 3\n\n")
    for words in (
        "Split test, 12,345 rows; interval of AUC by resampling rows: 0.7000 to 0.8000.",
        "|  | dnn | prior |\n| --- | --- | --- |\n| auc | 0.7500 | 0.5000 |\n| logloss | 0.2500 | 0.2500 |\n",
        "\n\nCalibration error: 0.0125.\n\n**Alarm:** Something is odd.\n\n## Limits\n\n- Probabilities are those",
        "Click rate of the training rows: 0.3000.",
        "| run | `RUN` |\n| checkpoint | `tiny:abc` |\n| schema | `0f` |\n",
        "| schema | `0f` |\n| features | `1f` |\n| data | `DS` |\n| trained | ",
    ):
        assert words in text, words
    assert "not evaluated" not in text
    assert "\n\n\n" not in text
    bare = dict.fromkeys(EVALUATION["metrics"])  # None: what is no number
    (tmp_path / "run" / "evaluation.json").write_text(json.dumps({**EVALUATION, "metrics": bare, "alarms": []}))
    text = click_model_card(export, loaded, encoder)
    assert "Split test, 12,345 rows.\n" in text
    assert "| auc | \N{EN DASH} | 0.5000 |\n" in text
    assert "Calibration error: \N{EN DASH}.\n\n## Limits" in text
    (tmp_path / "run" / "evaluation.json").unlink()
    assert "## Quality\n\nThis run was not evaluated.\n\n## Limits" in click_model_card(export, loaded, encoder)
