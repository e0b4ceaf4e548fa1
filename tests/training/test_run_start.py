"""Settings that a resumed run may change, and those that it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.errors import ConfigError
from tfrec.training.model_store import run_config
from tfrec.training.run_directory import RunDirectory
from tfrec.training.run_start import write_settings


def test_a_monitor_that_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.group"):
        run_config("dnn", assignments=["training.patience=2", "training.monitor=auc+gauc"])


@pytest.mark.parametrize(
    ("model", "settings", "change", "allowed"),
    [
        ("dnn", ["training.patience=2"], "evaluation.group=hour", True),
        (
            "dnn",
            ["training.patience=2", "training.monitor=auc+gauc", "evaluation.group=day"],
            "evaluation.group=hour",
            False,
        ),
        ("dnn", ["training.patience=0", "training.monitor=auc+gauc"], "evaluation.group=hour", True),
        ("dnn", ["training.patience=2", "training.monitor=gauc", "evaluation.group=day"], "evaluation.bins=20", True),
        ("sasrec", ["training.patience=2"], "evaluation.exclude_history=false", False),
        ("sasrec", ["training.patience=0"], "evaluation.exclude_history=false", True),
        ("sasrec", ["training.patience=0"], "optimizer.learning_rate=0.5", False),
    ],
)
def test_what_a_resumed_run_may_change(
    tmp_path: Path, model: str, settings: list[str], change: str, allowed: bool
) -> None:
    run = RunDirectory(tmp_path)
    write_settings(run, run_config(model, assignments=settings), resume=False)
    before = run.config.read_text(encoding="utf-8")
    changed = run_config(model, assignments=[*settings, change])
    write_settings(run, run_config(model, assignments=settings), resume=True)
    if allowed:
        write_settings(run, changed, resume=True)
        assert run.config.read_text(encoding="utf-8") != before
    else:
        with pytest.raises(ConfigError, match="configuration differs"):
            write_settings(run, changed, resume=True)
        assert run.config.read_text(encoding="utf-8") == before
