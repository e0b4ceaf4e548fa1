"""The whole pipeline run in this process as a user runs it, and what its runs said."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec.command import EXIT_INTERRUPTED
from tfrec.serving.check_export import check_export
from tfx_pipeline import run_settings

REPORT_PARTS = ("statistics", "anomalies", "evaluation", "lineage", "provenance")


@dataclass
class PipelineRuns:
    """The folder of a pipeline and what its runs said: `interrupted`, then `first`.

    Attributes:
        root: Directory of the pipeline.
        log: The data.
        codes: Exit codes by the name of the run.
        documents: What `--json` printed.
        trained: Run directory of the first model.
    """

    root: Path
    log: Path
    codes: dict[str, int] = field(default_factory=dict, init=False)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    trained: Path = field(init=False)

    def states(self, name: str) -> dict[str, str]:
        """What became of every node of a run."""
        return {node["node"]: node["state"] for node in self.documents[name]["nodes"]}

    def note_trained(self) -> None:
        """Remembers the model trained last as the one of the first run."""
        assert self.codes["first"] == 0, self.codes
        made = (self.root / "artifacts" / "Trainer" / "model_run").iterdir()
        self.trained = max(made, key=lambda one: int(one.name)) / "run"

    @property
    def report(self) -> str:
        """The report of the last run."""
        return (self.root / "report.html").read_text(encoding="utf-8")

    @property
    def versions(self) -> list[str]:
        """What was pushed."""
        return [path.name for path in (self.root / "serving").iterdir() if path.name.isdigit()]


@contextlib.contextmanager
def many_runs() -> Iterator[None]:
    """Nodes come from the cache though somebody edits the source meanwhile; graphs are run as they were built."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run_settings, "code_version", lambda: "the same")
            yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


@contextlib.contextmanager
def killed_in(module: Any, name: str) -> Iterator[None]:
    """A function ends as if Ctrl-C were pressed in it."""

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, kill)
        yield


def assert_continued(runs: PipelineRuns) -> None:
    """What came before the Trainer, in which the first run was killed, was taken over by the second."""
    assert runs.codes == {"interrupted": EXIT_INTERRUPTED, "first": 0}, runs.codes
    states = runs.states("first")
    before = list(states)[: list(states).index("Trainer")]
    assert {"ParquetExampleGen", "Transform"} <= set(before)
    assert {states[node] for node in before if node not in ("Resolver", "AnomalyGate")} == {"cached"}, states
    assert {states[node] for node in ("Trainer", "Evaluator", "GoldenReplay", "Pusher")} == {"done"}, states


def assert_same_weights(one: Any, other: Any) -> None:
    """Two models have the same weights, bit by bit."""
    for mine, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def pushed_export(runs: PipelineRuns, model: str) -> Path:
    """Returns the first version that was pushed, which must be whole and of a model."""
    pushed = runs.documents["first"]["pushed"]
    assert pushed["version"] == 1, pushed
    assert check_export(Path(pushed["path"]), verify=False)["model"] == model
    return Path(pushed["path"])
