"""The model card of an evaluated run."""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness.planted_shop import planted_shop
from tests.harness.tiny_run import tiny_run
from tfrec.serving.model_card import model_card
from tfrec.training.model_store import load_run

PROTOCOL = {
    "label": "full",
    "tie_rule": "conservative",
    "cutoffs": [10],
    "num_candidates": 23,
    "num_targets": 1234,
    "chance": {"recall@10": 0.4348, "mrr@10": 0.1},
    "models": {
        "markov": {
            "role": "model",
            "metrics": {"recall@10": 0.75, "mrr@10": 0.5},
            "intervals": {"recall@10": {"low": 0.7, "high": 0.8}},
        },
        "popularity": {"role": "baseline", "metrics": {"recall@10": 0.5, "mrr@10": None}, "intervals": {}},
        "optimum": {"role": "optimum", "metrics": {"recall@10": 0.9, "mrr@10": 0.8}, "intervals": {}},
    },
}
EVALUATION = {
    "split": "test",
    "protocols": [PROTOCOL],
    "bootstrap": {"confidence": 0.95, "unit": "user"},
    "alarms": [{"message": "Something is odd."}],
}
EXPORT = {
    "model": "markov",
    "version": 3,
    "created": "2026-01-02T03:04:05+00:00",
    "versions": {"tfrec": "0.1", "tensorflow": "2.16"},
    "signatures": ["serving_default", "recommend"],
    "id_type": "int64",
    "candidates": 20,
    "items": 1023,
    "history_window": 1000,
    "request_features": ["user"],
    "config": {"index": {"kind": "ivf"}},
    "recall": 0.9876,
    "run": "RUN",
    "checkpoint": "tiny:abc",
    "schema_hash": "0f",
    "vocabulary_hash": "1f",
}


def test_what_it_says(tmp_path: Path) -> None:
    shop = planted_shop(tmp_path / "shop", "int64")
    tiny_run(tmp_path / "run", "markov", shop)
    (tmp_path / "run" / "evaluation.json").write_text(json.dumps(EVALUATION))
    text = model_card(EXPORT, load_run(tmp_path / "run"), shop)
    assert text.startswith("# markov, version 3\n\nScores an item by how often it followed the last item")
    for words in (
        "Signatures: `serving_default`, `recommend`.\n",
        "20 of 1,023 items can be\nrecommended.",
        "the latest 1,000 events of a history and asks for `user`.\nIndex: ivf, which finds 98.76 % of the items",
        "|  | train | valid | test |\n| --- | --- | --- | --- |\n| sequences |",
        "Split test, protocol full, tie rule conservative,\n1,234 targets among 23 items; intervals of 95 % by ",
        "by resampling each user.\n\n",
        "|  | markov | interval | popularity | chance |\n| --- | --- | --- | --- | --- |\n"
        "| recall@10 | 0.7500 | 0.7000 to 0.8000 | 0.5000 | 0.4348 |\n| mrr@10 | 0.5000 |  |  | 0.1000 |\n",
        "**Alarm:** Something is odd.\n",
        "\n## Limits\n\n- Items without",
        "leaks across users in time",
        "Apache-2.0",
        "| run | `RUN` |\n| checkpoint | `tiny:abc` |\n| schema | `0f` |\n| item vocabulary | `1f` |\n| trained | ",
    ):
        assert words in text, words
    assert "not evaluated" not in text
    assert "\n\n\n" not in text
