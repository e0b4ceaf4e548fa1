"""Click models are tuned by registration: trials that train, objectives and their direction, grids, files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.harness.planted_impressions import planted_impressions
from tests.harness.tiny_click_run import CLICK_MODELS, tiny_settings
from tfrec.command import run_command
from tfrec.config.run_config import RunConfig
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.errors import ConfigError, DataError
from tfrec.training.model_store import run_config
from tfrec.tune import main
from tfrec.tuning.objective import Objective
from tfrec.tuning.read_space import parse_space, space_path
from tfrec.tuning.search import run_search
from tfrec.tuning.search_settings import SearchSettings

QUIET = Console(quiet=True)
SPACE: dict[str, Any] = {
    "space": {
        "optimizer.learning_rate": {"type": "choice", "values": [0.001, 0.01, 0.1]},
        "objective.loss": {"type": "choice", "values": ["bce", "focal"]},
        "objective.focal_gamma": {"type": "int", "min": 1, "max": 2, "when": {"objective.loss": "focal"}},
    }
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImpressionDataset:
    return planted_impressions(tmp_path_factory.mktemp("impressions"))


def settings(model: str = "dnn", *assignments: str, **others: Any) -> SearchSettings:
    others = {"trials": 4, "confirm_seeds": 0, **others}
    return SearchSettings(parse_space(model, SPACE, source="x"), assignments=assignments, **others)


class Training:
    """A stand-in: the step size decides everything."""

    def __init__(self) -> None:
        self.configs: list[Any] = []

    def __call__(
        self, config: RunConfig, folder: Path, continued: Path | None, listen: Callable[[str], None]
    ) -> dict[str, float]:
        folder.mkdir(parents=True, exist_ok=True)
        self.configs.append(config)
        rate = config.optimizer.learning_rate  # type: ignore[attr-defined]
        return {"auc": 0.5 + rate, "logloss": 0.3 - rate, "score": 0.4 + rate, "wll": 0.9 + rate}


@pytest.mark.parametrize("model", CLICK_MODELS)
def test_every_click_model_is_searched(model: str, data: ImpressionDataset, tmp_path: Path) -> None:
    small = [*tiny_settings(model), "training.epochs=1", "training.batch_size=64", "objective.loss=bce"]
    searched = settings(model, *small, trials=1, objective="score")
    document = run_search(searched, tmp_path / "s", QUIET, data=data.path)
    metrics = document["best"]["metrics"]
    assert document["best"]["score"] == metrics["score"]
    assert 0.0 < metrics["score"] < 1.0
    rows = data.num_rows("valid")
    assert metrics["click_rate"] == pytest.approx(data.num_clicks("valid") / rows)  # not those of the test split
    config = run_config(model, file=tmp_path / "s" / "best.yaml")
    assert config.optimizer.learning_rate == document["best"]["settings"]["optimizer.learning_rate"]  # type: ignore[attr-defined]
    assert config.evaluation.split == "test"
    command = f"--config {tmp_path}/s/best.yaml --data {Path(data.path).resolve()} --output RUN"
    assert command in (tmp_path / "s" / "best.yaml").read_text()
    if model != "prior":
        assert space_path(model) is not None


@pytest.mark.parametrize(
    ("name", "direction", "monitor", "best"),
    [
        ("auc", "max", "auc", 0.1),
        ("logloss", "min", "-logloss", 0.1),
        ("wll", "min", "-wll", 0.001),
        ("score", "max", "score", 0.1),
        ("auc - 3*wll", "max", "auc-3*wll", 0.001),
        ("", "max", "auc-logloss", 0.1),
    ],
)
def test_objectives_and_their_direction(
    name: str, direction: str, monitor: str, best: float, data: ImpressionDataset, tmp_path: Path
) -> None:
    train = Training()
    searched = settings("dnn", "objective.loss=bce", searcher="grid", trials=None, objective=name)
    document = run_search(searched, tmp_path / "s", QUIET, data=data.path, train=train)
    assert document["settings"]["direction"] == direction
    assert document["best"]["settings"] == {"optimizer.learning_rate": best}
    assert len(train.configs) == 3
    for config in train.configs:
        assert (config.training.monitor, config.evaluation.split) == (monitor, "valid")
        assert (config.evaluation.baselines, config.evaluation.bootstrap, config.data.path) == ([], 0, data.path)
    page = (tmp_path / "s" / "report.html").read_text()
    assert "on the validation split" in " ".join(page.split())
    assert "full ranking" not in page


def test_a_sum_of_metrics() -> None:
    goal = Objective.parse("auc-0.5*logloss", clicks=True)
    assert goal.of({"auc": 0.7, "logloss": 0.2}) == pytest.approx(0.6)
    assert goal.of({"auc": 0.7}) != goal.of({"auc": 0.7})  # not a number
    for name, clicks, words in (("ndcg@10", True, "no metric of click models"), ("auc", False, "no metric that")):
        with pytest.raises(ConfigError, match=words):
            Objective.parse(name, clicks=clicks)


def test_a_grid_is_every_configuration_once_and_goes_on(data: ImpressionDataset, tmp_path: Path) -> None:
    expected = [
        {"optimizer.learning_rate": rate, "objective.loss": loss, **gamma}
        for rate in (0.001, 0.01, 0.1)
        for loss, gamma in (
            ("bce", {}),
            ("focal", {"objective.focal_gamma": 1}),
            ("focal", {"objective.focal_gamma": 2}),
        )
    ]
    whole = settings(searcher="grid", trials=None)
    assert whole.num_trials == 9
    run_search(whole, tmp_path / "s", QUIET, data=data.path, train=Training())
    assert _values(tmp_path / "s") == expected
    run_search(settings(searcher="grid", trials=2), tmp_path / "t", QUIET, data=data.path, train=Training())
    rest = Training()
    run_search(settings(searcher="grid", trials=20), tmp_path / "t", QUIET, data=data.path, train=rest, resume=True)
    assert _values(tmp_path / "t") == expected
    assert len(rest.configs) == 7
    ranges = {"space": {"optimizer.learning_rate": {"type": "float", "min": 0.1, "max": 0.2}}}
    with pytest.raises(ConfigError, match="finite number of values"):
        SearchSettings(parse_space("dnn", ranges, source="x"), searcher="grid")


def test_the_command_reads_impressions(
    data: ImpressionDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ["--model", "feseq", "--data", data.path, "--output", str(tmp_path / "s"), "--dry-run", "--json"]
    assert run_command(main, [*flags, "--objective", "logloss"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["settings"]["direction"] == "min"
    assert document["combinations"] > 100_000
    assert run_command(main, [*flags, "--objective", "gauc", "--set", "training.patience=1"]) == 2
    assert "set `evaluation.group`" in " ".join(capsys.readouterr().err.split())
    assert run_command(main, ["--model", "sasrec", *flags[2:]]) == 3
    monkeypatch.setattr(ImpressionDataset, "splits", property(lambda self: ["train", "test"]))
    with pytest.raises(DataError, match="no split `valid`"):
        run_search(settings(), tmp_path / "t", QUIET, data=data.path, train=Training())


def _values(folder: Path) -> list[dict[str, Any]]:
    return [trial["values"] for trial in json.loads((folder / "trials.json").read_text())["trials"]]
