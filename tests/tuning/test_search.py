"""The loop over trials: journal, resumption, failures, files; training is a stand-in here."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tfrec.config.run_config import RunConfig
from tfrec.errors import ConfigError, DataError, TrainingError
from tfrec.training.model_store import run_config
from tfrec.tuning.pipeline_tuner import PipelineTuner
from tfrec.tuning.read_space import parse_space
from tfrec.tuning.search import run_search
from tfrec.tuning.search_settings import SearchSettings

QUIET = Console(quiet=True)
SPACE: dict[str, Any] = {
    "fixed": {"training.epochs": 3, "objective.num_negatives": 32},
    "space": {
        "optimizer.learning_rate": {"type": "float", "min": 1e-3, "max": 1.0, "log": True},
        "objective.loss": {"type": "choice", "values": ["cross-entropy", "bpr-max"]},
        "objective.bpreg": {"type": "float", "min": 0, "max": 2, "step": 0.5, "when": {"objective.loss": "bpr-max"}},
    },
}


def settings(searcher: str = "random", *assignments: str, **others: Any) -> SearchSettings:
    others = {"trials": 6, "confirm_seeds": 0, **others}
    space = parse_space("gru4rec", SPACE, source="x")
    return SearchSettings(space, searcher=searcher, assignments=assignments, **others)


class Training:
    """Best rate .05, a little luck by seed, and whatever is to go wrong in a trial, by its number."""

    def __init__(self, faults: dict[int, BaseException] | None = None) -> None:
        self.faults = faults or {}
        self.configs: list[RunConfig] = []
        self.continued: list[str | None] = []

    def __call__(
        self, config: RunConfig, folder: Path, continued: Path | None, listen: Callable[[str], None]
    ) -> dict[str, float]:
        listen("Epoch 1/3  loss 1.0  (1 s)")
        number = int(folder.name) if folder.name.isdigit() else -1
        if number in self.faults:
            raise self.faults[number]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)
        self.configs.append(config)
        self.continued.append(continued.name if continued is not None else None)
        score = math.exp(-(math.log10(config.optimizer.learning_rate / 0.05) ** 2)) + 0.001 * (config.seed % 3)
        return {"mrr@20": score, "recall@20": 2 * score}


class Killed(BaseException):
    """Stands for a kill: nothing handles it."""


def values(folder: Path) -> list[dict[str, Any]]:
    return [trial["values"] for trial in json.loads((folder / "trials.json").read_text())["trials"]]


def test_everything_is_written_down(clicks: Path, tmp_path: Path) -> None:
    training = Training()
    document = run_search(settings(confirm_seeds=2), tmp_path / "s", QUIET, data=str(clicks), train=training)
    folder = tmp_path / "s"
    assert json.loads((folder / "search.json").read_text()) == document
    trials = json.loads((folder / "trials.json").read_text())["trials"]
    best = max(trials, key=lambda trial: trial["score"])
    assert document["best"]["trial"] == best["number"]
    assert document["trials"] == {"completed": 6, "failed": 0}
    rows = list(csv.DictReader((folder / "trials.csv").open()))
    assert [float(row["score"]) for row in rows] == [trial["score"] for trial in trials]
    assert float(rows[0]["recall@20"]) == 2 * trials[0]["score"]
    # The split that is measured, the cut-off of the objective, the fixed settings; never the test split.
    for config in training.configs[:6]:
        assert (config.evaluation.split, config.training.monitor, config.seed) == ("valid", "mrr@20", 42)
        assert (config.training.epochs, config.objective.num_negatives) == (3, 32)
    # Only the best trial keeps its weights.
    kept = [path.parent.name for path in (folder / "trials").glob("*/checkpoints")]
    assert kept == [f"{best['number']:04d}"]
    # Confirmation: the winner and the preset, with the same seeds, none of them that of the search.
    confirmed = training.configs[6:]
    assert [config.seed for config in confirmed] == [43, 43, 44, 44]
    winner, default = confirmed[0], confirmed[1]
    assert winner.optimizer.learning_rate == best["values"]["optimizer.learning_rate"]
    assert (default.optimizer.learning_rate, default.training.epochs, default.objective.num_negatives) == (
        0.1,
        10,
        2048,
    )
    means = [document["confirmation"][name]["mean"] for name in ("winner", "default")]
    ours, preset = (math.exp(-(math.log10(config.optimizer.learning_rate / 0.05) ** 2)) for config in confirmed[:2])
    assert means == pytest.approx([ours + 0.0015, preset + 0.0015])  # 43 and 44 leave 1 and 2 by 3
    page = (folder / "report.html").read_text()
    assert page.count("<svg") == 2
    assert "The test split was not looked at" in page
    assert "on the validation split, 2 fresh seeds" in page
    best_text = (folder / "best.yaml").read_text()
    assert "expect less of other seeds" in best_text
    assert document["best"]["offered"] == "winner"
    assert f"learning_rate: {best['values']['optimizer.learning_rate']}" in best_text
    assert "exceed" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_best_settings_are_a_configuration_for_training(clicks: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("optimizer: {momentum: 0.1}\nseed: 7\n")
    searched = settings("random", "model.layers=[24]", "data.synthetic.seed=3", config_file=mine)
    document = run_search(searched, tmp_path / "s", QUIET, data=str(clicks), train=Training())
    text = (tmp_path / "s" / "best.yaml").read_text()
    read = run_config("gru4rec", file=tmp_path / "s" / "best.yaml")
    for key, value in document["best"]["settings"].items():
        section, name = key.split(".")
        assert getattr(getattr(read, section), name) == value
    assert (read.model.layers, read.optimizer.momentum, read.training.epochs) == ([24], 0.1, 3)
    assert (read.seed, read.data.path, read.evaluation.split) == (42, None, "test")  # as the preset has them
    head = [line for line in text.splitlines() if line.startswith("#")]
    for word in ("Date: 20", "mrr@20 = ", "sha256:", "Command: ", "split `valid`", "commit "):
        assert any(word in line for line in head), word


def test_settings_worse_than_the_default_are_not_offered(clicks: Path, tmp_path: Path) -> None:
    """The seed of the search flatters every trial; with fresh ones the preset is the best there is."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("optimizer: {momentum: 0.1}\n")

    def train(config: RunConfig, folder: Path, *rest: object) -> dict[str, float]:
        folder.mkdir(parents=True, exist_ok=True)
        return {"mrr@20": 0.9 if config.seed == 42 else -abs(math.log10(config.optimizer.learning_rate / 0.1))}

    said = Console(file=io.StringIO(), width=200)
    searched = settings("random", "model.layers=[24]", config_file=mine, confirm_seeds=2, trials=2)
    document = run_search(searched, tmp_path / "s", said, data=str(clicks), train=train)
    assert document["best"]["offered"] == "default"
    assert document["confirmation"]["gain"] < 0
    read = run_config("gru4rec", file=tmp_path / "s" / "best.yaml")
    preset = run_config("gru4rec", file=mine, assignments=["model.layers=[24]"])
    assert (
        read.model_dump() == preset.model_dump()
    )  # neither a trial's value nor what the space fixes, but what the user has said
    trial = document["best"]["trial"]
    text = (tmp_path / "s" / "best.yaml").read_text()
    assert f"trial {trial}, did worse" in text
    assert f"Confirmation: Difference to the default configuration: {document['confirmation']['gain']:+.4f}" in text
    ending = said.file.getvalue()
    assert f"Trial {trial} did worse than the default configuration, so its settings are not offered." in ending
    assert "Best settings" not in ending
    assert "not best.yaml, which has those of the default" in (tmp_path / "s" / "report.html").read_text()
    tuner = PipelineTuner(searched, tmp_path / "s", str(clicks), QUIET)
    (found,) = tuner.get_best_hyperparameters()
    assert found.get_config()["values"] == {"tuner/directory": str(tmp_path / "s")}


def test_a_model_without_seeds_is_not_said_to_have_any(clicks: Path, tmp_path: Path) -> None:
    space = parse_space(
        "item_knn", {"space": {"model.num_neighbours": {"type": "int", "min": 1, "max": 9}}}, source="x"
    )
    seeds = []

    def train(config: RunConfig, folder: Path, *rest: object) -> dict[str, float]:
        folder.mkdir(parents=True)
        seeds.append(config.seed)
        return {"ndcg@10": 0.5}

    said = Console(file=io.StringIO(), width=200)
    run_search(SearchSettings(space, trials=1), tmp_path / "s", said, data=str(clicks), train=train)
    assert seeds == [42, 42, 42]  # the trial, the winner once, the default once
    best = (tmp_path / "s" / "best.yaml").read_text()
    assert "expect less of other data" in best
    assert f"# Use: python -m tfrec.train --config {tmp_path}/s/best.yaml --data {clicks} --output RUN\n" in best
    for text in (said.file.getvalue(), (tmp_path / "s" / "report.html").read_text()):
        assert "fresh seed" not in text
        assert "seed 42, that of the search" in " ".join(text.split())  # the title of the table is wrapped


@pytest.mark.parametrize("searcher", ["random", "hyperband"])
def test_a_killed_search_goes_on_with_the_same_trials(searcher: str, clicks: Path, tmp_path: Path) -> None:
    whole = settings(searcher, trials=9, max_epochs=4, factor=2)
    run_search(whole, tmp_path / "whole", QUIET, data=str(clicks), train=Training())
    for killed in (0, 3, 7):
        folder = tmp_path / f"killed-{killed}"
        with pytest.raises(Killed):
            run_search(whole, folder, QUIET, data=str(clicks), train=Training({killed: Killed()}))
        journal = json.loads((folder / "trials.json").read_text())["trials"]
        assert [trial["status"] for trial in journal] == ["completed"] * killed + ["running"]
        again = Training()
        run_search(whole, folder, QUIET, data=str(clicks), resume=True, train=again)
        assert values(folder) == values(tmp_path / "whole")
        assert len(again.configs) == 9 - killed  # finished trials are not trained again


def test_a_finished_search_can_be_made_longer_but_not_another_one(clicks: Path, tmp_path: Path) -> None:
    run_search(settings(trials=5), tmp_path / "long", QUIET, data=str(clicks), train=Training())
    run_search(settings(trials=2), tmp_path / "s", QUIET, data=str(clicks), train=Training())
    run_search(settings(trials=5), tmp_path / "s", QUIET, data=str(clicks), resume=True, train=Training())
    assert values(tmp_path / "s") == values(tmp_path / "long")
    document = json.loads((tmp_path / "s" / "search.json").read_text())
    assert (document["trials"]["completed"], len(document["resumed"])) == (5, 1)
    for other, what in [
        (settings(seed=1), "seed"),
        (settings("random", "model.layers=[9]"), "default"),
        (settings(objective="recall@5"), "objective"),
        (settings("random", "objective.loss=bpr-max"), "space"),
    ]:
        with pytest.raises(ConfigError, match=f"another `{what}`"):
            run_search(other, tmp_path / "s", QUIET, data=str(clicks), resume=True, train=Training())
    with pytest.raises(ConfigError, match="Pass --overwrite"):
        run_search(settings(), tmp_path / "s", QUIET, data=str(clicks), train=Training())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="left alone"):
        run_search(settings(), tmp_path / "mine", QUIET, data=str(clicks), overwrite=True, train=Training())


def test_failures_are_recorded_with_their_reason(clicks: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    faults: dict[int, BaseException] = {
        1: TrainingError("The loss is `nan` after block 3."),
        4: RuntimeError("out of memory\nwith details"),
    }
    console = Console(width=200)
    document = run_search(settings(), tmp_path / "s", console, data=str(clicks), train=Training(faults))
    assert document["failures"] == [
        {"trial": 1, "reason": "The loss is `nan` after block 3."},
        {"trial": 4, "reason": "RuntimeError: out of memory"},
    ]
    said = capsys.readouterr().out
    assert "Trial 1 failed: The loss is `nan` after block 3." in said
    rows = list(csv.DictReader((tmp_path / "s" / "trials.csv").open()))
    assert [row["status"] for row in rows].count("failed") == 2
    assert "RuntimeError: out of memory" in (tmp_path / "s" / "report.html").read_text()
    # The trials after a failure are those of a search that is continued after it.
    short = settings(trials=3)
    run_search(short, tmp_path / "t", QUIET, data=str(clicks), train=Training(faults))
    run_search(settings(), tmp_path / "t", QUIET, data=str(clicks), resume=True, train=Training(faults))
    assert values(tmp_path / "t") == values(tmp_path / "s")


def test_too_many_failures_stop_the_search(clicks: Path, tmp_path: Path) -> None:
    nan = TrainingError("The loss is `nan`.")
    faults: dict[int, BaseException] = {2: nan, 3: nan, 4: nan}
    with pytest.raises(TrainingError, match="3 trials in a row failed: The loss is `nan`") as caught:
        run_search(settings(max_failures=3), tmp_path / "s", QUIET, data=str(clicks), train=Training(faults))
    assert caught.value.exit_code == 4
    assert len(values(tmp_path / "s")) == 5
    assert (tmp_path / "s" / "trials.csv").is_file()
    with pytest.raises(TrainingError, match="All 2 trials failed: The loss"):
        run_search(settings(trials=2), tmp_path / "t", QUIET, data=str(clicks), train=Training({0: nan, 1: nan}))


def test_faults_of_the_data_are_not_those_of_a_trial(clicks: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shard"):
        run_search(settings(), tmp_path / "s", QUIET, data=str(clicks), train=Training({1: DataError("shard")}))
    full = Training({1: OSError("No space left")})
    with pytest.raises(DataError, match="Trial 1 cannot be written: No space"):
        run_search(settings(), tmp_path / "t", QUIET, data=str(clicks), train=full)


def test_a_trial_that_ends_the_process_again_and_again_is_given_up(clicks: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    for attempt in range(3):
        train = Training({2: Killed()})
        with pytest.raises(Killed):
            run_search(settings(), folder, QUIET, data=str(clicks), resume=attempt > 0, train=train)
    document = run_search(settings(), folder, QUIET, data=str(clicks), resume=True, train=Training({2: Killed()}))
    assert document["failures"] == [
        {"trial": 2, "reason": "the process ended 3 times during this trial (out of memory?)"}
    ]
    for _ in range(5):  # Ctrl-C is no fault of the trial
        train = Training({0: KeyboardInterrupt()})
        resume = (tmp_path / "t").exists()
        with pytest.raises(KeyboardInterrupt):
            run_search(settings(), tmp_path / "t", QUIET, data=str(clicks), resume=resume, train=train)
    assert json.loads((tmp_path / "t" / "trials.json").read_text())["trials"][0]["attempts"] == 0


def test_hyperband_trains_to_its_epochs_and_continues(clicks: Path, tmp_path: Path) -> None:
    training = Training()
    document = run_search(
        settings("hyperband", trials=None, max_epochs=4, factor=2), tmp_path / "s", QUIET, data=str(clicks),
        train=training,
    )  # fmt: skip
    trials = json.loads((tmp_path / "s" / "trials.json").read_text())["trials"]
    assert [config.training.epochs for config in training.configs] == [trial["epochs"] for trial in trials]
    assert {trial["epochs"] for trial in trials} == {1, 2, 4}
    for trial, continued in zip(trials, training.continued, strict=True):
        assert (None if continued is None else int(continued)) == trial["continued_from"]
    assert any(training.continued)
    assert f"epochs: {document['best']['epochs']}" in (tmp_path / "s" / "best.yaml").read_text()


def test_what_does_not_go_together_is_refused() -> None:
    knn = parse_space("item_knn", {"space": {"model.last_item_only": {"type": "boolean"}}}, source="x")
    with pytest.raises(ConfigError, match="needs epochs, and `item_knn` has none"):
        SearchSettings(knn, searcher="hyperband")
    epochs = {"space": {"training.epochs": {"type": "int", "min": 1, "max": 9}}}
    with pytest.raises(ConfigError, match=r"decides `training.epochs` itself"):
        SearchSettings(parse_space("gru4rec", epochs, source="x"), searcher="hyperband")
    with pytest.raises(ConfigError, match="one of random, bayesian, hyperband, grid"):
        settings("evolution")
    with pytest.raises(ConfigError, match="Did you mean `momentum`"):
        settings("random", "optimizer.momentun=0.1")


def test_without_a_validation_split_there_is_no_search(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfrec.data.dataset import InteractionDataset

    monkeypatch.setattr(InteractionDataset, "splits", property(lambda self: ("train", "test")))
    with pytest.raises(DataError, match=r"no split `valid`.*never measured on `test`.*--valid-days 1"):
        run_search(settings(), tmp_path / "s", QUIET, data=str(clicks), train=Training())
    assert not (tmp_path / "s").exists()
