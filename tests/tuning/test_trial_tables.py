"""Trials on a console: on a narrow one figures and names stay whole."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tfrec.tuning.trial_record import TrialRecord
from tfrec.tuning.trial_tables import print_trials

KEYS = (
    "model.embedding_dim",
    "training.batch_size",
    "evaluation.batch_size",
    "optimizer.learning_rate",
    "model.dropout",
)


@pytest.mark.parametrize("width", [80, 200])
def test_figures_and_names_are_whole(width: int) -> None:
    parameters = [SimpleNamespace(key=key) for key in KEYS]
    goal = SimpleNamespace(name="auc-logloss", direction="max")
    settings: Any = SimpleNamespace(
        goal=goal, space=SimpleNamespace(parameters=parameters), model="feseq", searcher="random"
    )
    values = dict(zip(KEYS, (16, 256, 512, 0.00123, 0.1), strict=True))
    record = TrialRecord(7, values, {}, 0, status="completed", score=-0.1987, epochs=4, seconds=12.3)
    file = io.StringIO()
    print_trials([record], settings, Console(file=file, width=width))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = file.getvalue().replace(",", " ").split()
    names = ["embedding_dim", "training.batch_size", "evaluation.batch_size", "learning_rate", "dropout"]
    for word in ["auc-logloss", "-0.1987", "12.3", "16", "256", "512", "0.00123", *names]:
        assert words.count(word) == 1
    assert any(line.startswith("settings") or line.rstrip().endswith("settings") for line in lines) == (width == 80)
