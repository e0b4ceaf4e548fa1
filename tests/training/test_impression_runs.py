"""Click models from the data to a submission: training, resumption, evaluation, prediction."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tfrec.config.impression_run_configs import monitor_terms
from tfrec.config.impression_world_config import ImpressionWorldConfig
from tfrec.data.impressions.impression_conversion import convert_impressions
from tfrec.data.impressions.impression_options import impression_options
from tfrec.data.impressions.impression_world import ImpressionWorld
from tfrec.errors import ConfigError, DataError, TrainingError
from tfrec.evaluation.click_metrics import auc, probabilities
from tfrec.evaluation.report.write_report import write_report
from tfrec.evaluation.score_impressions import ScoredImpressions
from tfrec.training import predict_impressions as module
from tfrec.training.click_evaluation import _curves
from tfrec.training.evaluate_run import evaluate_run
from tfrec.training.experiment import run_experiment
from tfrec.training.fit_impressions import click_objective
from tfrec.training.model_store import load_run, run_config
from tfrec.training.nan_guard import NanGuard
from tfrec.training.predict_impressions import PredictionOptions, predict_impressions

ROLES: dict[str, Any] = {
    "label": "clicked",
    "id": "ID",
    "categorical": ["inventory_id", "hour", "day_of_week"],
    "numeric": ["l_feat_1", "l_feat_2"],
    "sequence": [{"name": "seq", "max_length": 8}],
}
SETTINGS = [
    "model.embedding_dim=4",
    "model.max_length=8",
    "model.hidden=[8]",
    "training.batch_size=64",
    "training.epochs=3",
    "training.patience=2",
    "evaluation.bootstrap=20",
]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "train.parquet"
    config = ImpressionWorldConfig(num_rows=1500, median_length=6, click_rate=0.2, num_tokens=20)
    ImpressionWorld(config).write(path)
    frame = pd.read_parquet(path)
    frame.insert(0, "ID", [f"T{row:04d}" for row in range(len(frame))])
    frame.to_parquet(path, index=False, row_group_size=700)
    return path


@pytest.fixture(scope="module")
def data(log: Path) -> Path:
    path = log.parent / "DS"
    convert_impressions(impression_options(output=str(path), input=(str(log),), impressions=ROLES, shards=2))
    return path


def quiet() -> Console:
    return Console(quiet=True)


def train(data: Path, output: Path, *settings: str, model: str = "dnn", resume: bool = False) -> dict[str, Any]:
    config = run_config(model, assignments=[*SETTINGS, *settings, f"data.path={data}"])
    return run_experiment(config, output, quiet(), resume=resume, report=False)


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    output = data.parent / "run"
    train(data, output)
    return output


def test_a_run_leaves_what_it_measured(run: Path, data: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    document = json.loads((run / "evaluation.json").read_text())
    assert metrics["test"]["auc"] == document["metrics"]["auc"]
    assert metrics["baselines"]["prior"]["auc"] == 0.5
    assert metrics["train"]["epochs"] <= 3
    again = evaluate_run(run, quiet(), assignments=["evaluation.slices=[hour]"], output=run / "again.json")
    assert again["metrics"] == document["metrics"]
    assert sum(part["rows"] for part in again["slices"]["hour"]) == 150
    history = pd.read_csv(run / "history.csv")
    np.testing.assert_allclose(history["valid_auc-logloss"], history["valid_auc"] - history["valid_logloss"], atol=1e-6)
    best = history.loc[history["valid_auc-logloss"].idxmax(), "epoch"]
    assert metrics["train"]["best_epoch"] == best
    valid = evaluate_run(run, quiet(), assignments=["evaluation.split=valid"])["metrics"]
    assert valid["auc"] - valid["logloss"] == pytest.approx(history["valid_auc-logloss"].max(), abs=2e-6)
    write_report(run, run / "report.html")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert f"{document['metrics']['auc']:.4f}" in page
    assert "Calibration" in page
    assert "interval of AUC" in page
    assert '<th scope="col">click rate</th>' in page  # of the splits
    assert not [word for word in ("Leak audit", "nlabelled", "None", "Split rule: unknown") if word in page]


def test_a_resumed_run_ends_like_an_uninterrupted_one(
    data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = NanGuard.on_train_batch_end
    calls = iter(range(1000))

    def interrupted(self: NanGuard, batch: int, logs: Any = None) -> None:
        if next(calls) == 25:  # in the second epoch of 19 batches
            raise TrainingError("interrupted")
        original(self, batch, logs)

    monkeypatch.setattr(NanGuard, "on_train_batch_end", interrupted)
    with pytest.raises(TrainingError, match="interrupted"):
        train(data, tmp_path / "run", "training.checkpoint_minutes=0")
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="differs"):
        train(data, tmp_path / "run", "optimizer.learning_rate=0.1", resume=True)
    train(data, tmp_path / "run", "training.checkpoint_minutes=0", resume=True)
    for mine, theirs in zip(load_run(tmp_path / "run").model.weights, load_run(run).model.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_plateau_lowers_the_step_size(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "run", "training.monitor=logloss", "training.patience=3", "optimizer.learning_rate=0.01")
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    values, rates = history["valid_logloss"].tolist(), history["learning_rate"].tolist()
    expected, best, rate = [], -np.inf, 0.01
    for value in values:  # the loss is maximised here, so it soon gets no better
        expected.append(rate)
        rate, best = (rate, value) if value > best else (max(rate * 0.1, 1e-6), best)
    assert rates == pytest.approx(expected, rel=1e-5)


def test_objectives_against_numpy() -> None:
    labels, logits = np.array([1.0, 0.0, 0.0], np.float32), np.array([0.5, -1.0, 2.0], np.float32)
    p = probabilities(logits)
    losses = -np.where(labels == 1, np.log(p), np.log(1 - p))

    def loss(**settings: Any) -> float:
        config = run_config("dnn", overlays=[("test", {"objective": settings})]).objective  # type: ignore[attr-defined]
        return float(click_objective(config, 0.2)(labels, logits))

    assert loss() == pytest.approx(losses.mean(), rel=1e-5)
    assert loss(positive_weight=3.0) == pytest.approx((losses * [3, 1, 1]).mean(), rel=1e-5)
    assert loss(positive_weight="balanced") == pytest.approx((losses * [4, 1, 1]).mean(), rel=1e-5)
    right = np.where(labels == 1, p, 1 - p)
    assert loss(loss="focal", focal_gamma=2.0) == pytest.approx((losses * (1 - right) ** 2).mean(), rel=1e-4)


def test_weights_of_the_loss_are_not_counted_twice(data: Path, log: Path, tmp_path: Path) -> None:
    """Clicks that weigh as much as all other rows make logits balanced; a weight of 2 moves them by log 2."""
    train(data, tmp_path / "even", "objective.positive_weight=balanced", "training.epochs=1")
    plain = predict(tmp_path / "even", log, tmp_path / "plain.csv")
    moved = predict(tmp_path / "even", log, tmp_path / "moved.csv", balanced=True)
    assert moved["mean"] == pytest.approx(plain["mean"], abs=1e-6)
    document = json.loads((tmp_path / "even" / "evaluation.json").read_text())
    assert document["metrics"]["wll_balanced"] == pytest.approx(document["metrics"]["wll"], abs=1e-9)
    prior = document["baselines"]["prior"]  # has no weights, so it is moved all the way: log-loss of one half
    assert prior["wll_balanced"] == pytest.approx(np.log(2.0), abs=0.02)
    again = evaluate_run(tmp_path / "even", quiet(), assignments=["objective.positive_weight=2.0"])
    rate = load_run(tmp_path / "even").model.click_rate  # type: ignore[attr-defined]
    assert again["balanced_shift"] == pytest.approx(np.log((1 - rate) / rate / 2.0))


def test_curves_are_those_of_all_thresholds() -> None:
    """Rows with equal predictions pass a threshold together; rare clicks keep their points."""
    random = np.random.default_rng(0)
    labels = (random.random(5000) < 0.01).astype(np.float32)
    tied = ScoredImpressions(labels, np.zeros(5000, np.float32), {})
    assert _curves(tied)["roc"] == [[1.0, 1.0]]
    scored = ScoredImpressions(labels, (random.normal(0, 1, 5000) + labels).astype(np.float32).round(2), {})
    curves = _curves(scored)
    roc = np.array([[0.0, 0.0], *curves["roc"]])
    area = float(np.sum(np.diff(roc[:, 0]) * (roc[1:, 1] + roc[:-1, 1]) / 2.0))
    assert area == pytest.approx(auc(labels, scored.logits), abs=2e-3)
    above = scored.logits[:, None] >= np.unique(scored.logits)  # [rows, thresholds]
    hits = labels @ above
    known = np.stack([hits / labels.sum(), hits / above.sum(axis=0)], axis=1)
    for point in curves["precision_recall"]:
        assert np.abs(known - point).max(axis=1).min() < 1e-5
    reached = {round(recall * labels.sum()) for recall, _ in curves["precision_recall"]}
    assert reached >= set(hits[hits > 0].tolist())  # every click that there is a threshold after


def test_what_cannot_be_monitored_is_said_at_once(data: Path, log: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names `hours`, which is no category of the data\. Did you mean `hour`"):
        train(data, tmp_path / "group", "evaluation.group=hours")
    assert not (tmp_path / "group" / "history.csv").exists()
    with pytest.raises(ConfigError, match=r"slices` names `hours`, which is no category.*Did you mean `hour`"):
        train(data, tmp_path / "slices", "evaluation.slices=[hours]")
    assert not (tmp_path / "slices").exists()
    frame = pd.read_parquet(log).head(60)
    parts = {"train": frame, "valid": frame.query("clicked == 0"), "test": frame}
    for split, part in parts.items():
        part.to_parquet(tmp_path / f"{split}.parquet", index=False)
    files = {split: (str(tmp_path / f"{split}.parquet"),) for split in parts}
    convert_impressions(impression_options(output=str(tmp_path / "DS"), impressions=ROLES, split="given", **files))
    with pytest.raises(TrainingError, match=r"not a number on the split `valid`.*training\.patience=0"):
        train(tmp_path / "DS", tmp_path / "valid")
    parts["valid"].to_parquet(tmp_path / "train.parquet", index=False)
    convert_impressions(
        impression_options(output=str(tmp_path / "DS"), impressions=ROLES, split="given", overwrite=True, **files)
    )
    with pytest.raises(DataError, match=r"have no clicks.*Check `label`"):
        train(tmp_path / "DS", tmp_path / "train")


def strict(path: Path) -> Any:
    """JSON as its standard has it, without NaN and infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path.name} holds {word}")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_a_test_split_of_one_class_is_measured_as_far_as_it_can_be(log: Path, tmp_path: Path) -> None:
    """No pair of a click and another row: AUC and the weighted loss do not exist, the log-loss does."""
    frame = pd.read_parquet(log).drop(columns=["day_of_week"])
    parts = {"train": frame.head(300), "valid": frame.tail(300), "test": frame.query("clicked == 0").head(80)}
    for split, part in parts.items():
        part.to_parquet(tmp_path / f"{split}.parquet", index=False)
    files = {split: (str(tmp_path / f"{split}.parquet"),) for split in parts}
    roles = {**ROLES, "categorical": ["inventory_id", "hour"]}
    convert_impressions(impression_options(output=str(tmp_path / "DS"), impressions=roles, split="given", **files))
    settings = [*SETTINGS, "training.epochs=1", f"data.path={tmp_path / 'DS'}"]
    console = Console(record=True, width=300, file=io.StringIO())
    run_experiment(run_config("dnn", assignments=settings), tmp_path / "run", console)
    text = console.export_text()
    assert "The split `test` has no clicks in 80 rows: there is no auc, ap, wll, score" in text
    assert "Not broken down by `day_of_week`: no categories of the data." in text
    metrics, document = strict(tmp_path / "run" / "metrics.json"), strict(tmp_path / "run" / "evaluation.json")
    assert metrics["test"] == document["metrics"]
    for found in (metrics["test"], metrics["baselines"]["prior"]):
        assert [found[name] for name in ("auc", "ap", "wll", "score", "score_balanced")] == [None] * 5
        assert found["logloss"] == pytest.approx(-np.log(1 - found["mean_prediction"]), abs=0.05)
    assert "no clicks in 80 rows" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    again = evaluate_run(tmp_path / "run", console, output=tmp_path / "again.json")
    assert strict(tmp_path / "again.json")["metrics"] == again["metrics"] == document["metrics"]
    with pytest.raises(ConfigError, match=r"slices` names `day_of_week`, which is no category.*`hour`, `inventory_id`"):
        evaluate_run(tmp_path / "run", quiet(), assignments=["evaluation.slices=[hour,day_of_week]"])


def test_monitors() -> None:
    assert monitor_terms("auc - 0.5*logloss") == [(1.0, "auc"), (-0.5, "logloss")]
    for wrong in ("", "auc+", "recall", "auc logloss", "2auc"):
        with pytest.raises(ValueError, match=r"monitor|no sum"):
            monitor_terms(wrong)
    with pytest.raises(ConfigError, match=r"training\.monitor"):
        run_config("feseq", assignments=["training.monitor=ndcg@10"])


def predict(run: Path, log: Path, output: Path, **options: Any) -> dict[str, Any]:
    return predict_impressions(PredictionOptions(run=run, input=(str(log),), output=output, **options))


def test_submission_is_what_the_model_says(run: Path, log: Path, tmp_path: Path) -> None:
    summary = predict(run, log, tmp_path / "submission.csv")
    written = pd.read_csv(tmp_path / "submission.csv")
    frame = pd.read_parquet(log)
    assert written.columns.tolist() == ["ID", "clicked"]
    assert written["ID"].tolist() == frame["ID"].tolist()
    assert summary["rows"] == 1500
    assert summary["mean"] == pytest.approx(written["clicked"].mean(), rel=1e-6)
    assert summary["std"] == pytest.approx(written["clicked"].std(ddof=0), rel=1e-4)
    loaded = load_run(run)
    document = json.loads((run / "evaluation.json").read_text())
    dataset = module.FieldEncoder.load(run / module.ENCODER_FOLDER)
    assert dataset.fields.id == "ID"
    # The rows of the test split, found by the split's own rule, have the AUC that was reported.
    from tfrec.data.impressions.impression_conversion import given_sources
    from tfrec.data.impressions.row_plan import assign_rows

    options = impression_options(output="x", input=(str(log),), impressions=ROLES, shards=2)
    folds = assign_rows(options, given_sources(options))
    measured = auc(frame["clicked"][folds == 2], written["clicked"][folds == 2])
    assert measured == pytest.approx(document["metrics"]["auc"], abs=1e-4)
    balanced = predict(run, log, tmp_path / "balanced.csv", balanced=True)
    moved = pd.read_csv(tmp_path / "balanced.csv")["clicked"]
    shift = np.log(1 / loaded.model.click_rate - 1)  # type: ignore[attr-defined]
    logit = np.log(written["clicked"] / (1 - written["clicked"]))
    np.testing.assert_allclose(np.log(moved / (1 - moved)), logit + shift, atol=1e-4)
    assert balanced["mean"] > summary["mean"]


def test_an_interrupted_prediction_goes_on(
    run: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(run, log, tmp_path / "whole.csv")
    monkeypatch.setattr(module, "_SAVE_BATCHES", 1)
    output = tmp_path / "parts.csv"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    options = PredictionOptions(run=run, input=(str(log),), output=output)
    with pytest.raises(KeyboardInterrupt):
        predict_impressions(options, progress=stop)
    assert not output.exists()
    rows = len((tmp_path / "parts.csv.partial").read_text().splitlines()) - 1  # without the header
    with (tmp_path / "parts.csv.partial").open("ab") as file:
        file.write(b"T9999,0.")  # what was written after the last note counts for nothing
    with pytest.raises(DataError, match="another run, input or option"):
        predict(run, log, output, resume=True, balanced=True)
    said: list[str] = []
    predict_impressions(dataclasses.replace(options, resume=True), say=said.append)
    assert said == [f"Goes on at row {rows + 1:,} of 1,500."]
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.csv", "whole.csv"]
    with pytest.raises(ConfigError, match="exists"):
        predict(run, log, output)


def test_an_interrupted_prediction_is_saved_by_time_and_never_passed_over(
    run: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    options = PredictionOptions(run=run, input=(str(log),), output=tmp_path / "p.csv")
    said: list[str] = []
    for seconds, words in ((0.0, "--resume would have gone on"), (1e9, "before anything of it was saved")):
        monkeypatch.setattr(module, "_SAVE_SECONDS", seconds)
        with pytest.raises(KeyboardInterrupt):
            predict_impressions(options, progress=stop)
        assert (tmp_path / "p.csv.partial.json").exists() == (seconds == 0.0)  # no note of a file that was replaced
        with pytest.raises(KeyboardInterrupt):
            predict_impressions(options, progress=stop, say=said.append)
        assert words in said[-1]
    predict_impressions(dataclasses.replace(options, output=tmp_path / "q.csv", resume=True), say=said.append)
    assert "no interrupted prediction" in said[-1]


def test_order_of_the_sample_and_its_errors(run: Path, log: Path, tmp_path: Path) -> None:
    predict(run, log, tmp_path / "plain.csv")
    plain = pd.read_csv(tmp_path / "plain.csv").set_index("ID")["clicked"]
    ids = np.random.default_rng(0).permutation(plain.index)
    sample = tmp_path / "sample.csv"
    pd.DataFrame({"ID": ids, "clicked": 0}).to_csv(sample, index=False)
    predict(run, log, tmp_path / "ordered.csv", sample=sample)
    ordered = pd.read_csv(tmp_path / "ordered.csv")
    assert ordered["ID"].tolist() == ids.tolist()
    np.testing.assert_array_equal(ordered["clicked"], plain[ids])
    pd.DataFrame({"ID": [*ids[:-1], "other"], "clicked": 0}).to_csv(sample, index=False)
    with pytest.raises(DataError, match=r"row 1500: The id `other` is not in the input"):
        predict(run, log, tmp_path / "wrong.csv", sample=sample)
    pd.DataFrame({"ID": ids[:-1], "clicked": 0}).to_csv(sample, index=False)
    with pytest.raises(DataError, match="1,499 rows, the input 1,500"):
        predict(run, log, tmp_path / "wrong.csv", sample=sample)
    assert not (tmp_path / "wrong.csv").exists()


def test_a_file_that_does_not_fit_is_refused(run: Path, log: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(log).head(20)
    for name, changed in {
        "column `hour`: The column is missing": frame.drop(columns="hour"),
        "column `l_feat_1`, row 1: Not a number: `high`": frame.assign(l_feat_1="high"),
        "column `seq`: Neither lists nor text": frame.assign(seq=True),
    }.items():
        changed.to_parquet(tmp_path / "bad.parquet")
        with pytest.raises(DataError, match=name):
            predict(run, tmp_path / "bad.parquet", tmp_path / "bad.csv")
    frame.assign(hour="99").drop(columns=["clicked", "ID"]).to_parquet(tmp_path / "odd.parquet")
    (tmp_path / "recommender").mkdir()
    (tmp_path / "recommender" / "model.json").write_text(json.dumps({"name": "markov"}))
    with pytest.raises(ConfigError, match=r"recommender` is a recommender, not a click model"):
        predict(tmp_path / "recommender", log, tmp_path / "bad.csv")
    summary = predict(run, tmp_path / "odd.parquet", tmp_path / "odd.csv")
    assert summary["unknown"]["hour"] == 1.0
    assert pd.read_csv(tmp_path / "odd.csv")["row"].tolist() == list(range(20))
