"""The tuner as TFX calls it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfrec.data.dataset import InteractionDataset
from tfrec.training.model_store import run_config

pytestmark = pytest.mark.tfx


def test_tfx_gets_settings_that_training_takes(clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tfx", reason="needs the extra `tfx`")
    from tfx.components.tuner import executor
    from tfx.types import standard_artifacts

    from tfx_pipeline import tuner_module
    from tfx_pipeline.trainer_module import tuned_assignments

    dataset = InteractionDataset.open(clicks)
    monkeypatch.setattr(tuner_module, "transformed_dataset", lambda _fn_args, _output: dataset)
    space = tmp_path / "space.yaml"
    space.write_text(
        "fixed: {model.num_neighbours: 30}\nspace: {model.recency_decay: {type: float, min: 0.1, max: 1}}\n"
    )
    told = tuner_module.TunerSettings(
        "item_knn", config="model: {shrinkage: 2}", assignments=("model.similarity=cosine",), trials=2, space=str(space)
    )
    fn_args = SimpleNamespace(custom_config=told.custom_config(), working_dir=str(tmp_path / "work"))
    result = tuner_module.tuner_fn(fn_args)
    result.tuner.search_space_summary()
    result.tuner.search(**result.fit_kwargs)
    result.tuner.results_summary()
    best, results = standard_artifacts.HyperParameters(), standard_artifacts.TunerResults()
    best.uri, results.uri = str(tmp_path / "best"), str(tmp_path / "results")
    executor.write_best_hyperparameters(result.tuner, {"best_hyperparameters": [best], "tuner_results": [results]})
    written = json.loads((tmp_path / "best" / "best_hyperparameters.txt").read_text())
    assert written["values"].pop("tuner/directory") == str(tmp_path / "work" / "search")
    trials = json.loads((tmp_path / "work" / "search" / "trials.json").read_text())["trials"]
    winner = max(trials, key=lambda trial: trial["score"])
    assert written["values"] == {"model.num_neighbours": 30, **winner["values"]}
    scores = json.loads((tmp_path / "results" / "tuner_results.json").read_text())
    assert [row["score"] for row in scores] == sorted((trial["score"] for trial in trials), reverse=True)
    config = run_config("item_knn", assignments=tuned_assignments(written))
    assert config.model.recency_decay == winner["values"]["model.recency_decay"]
    # What was told applies to the trials: file, assignment, fixed setting.
    trial = run_config("item_knn", file=tmp_path / "work" / "search" / "trials" / "0000" / "config.yaml").model
    assert (trial.shrinkage, trial.similarity, trial.num_neighbours) == (2.0, "cosine", 30)
    # TFX may call again after a crash: nothing is trained twice.
    again = tuner_module.tuner_fn(fn_args).tuner
    again.search()
    assert json.loads((tmp_path / "work" / "search" / "trials.json").read_text())["trials"] == trials


def test_a_search_of_the_pipeline_stays_and_is_found_again(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tfx", reason="needs the extra `tfx`")
    from tfx_pipeline import tuner_module

    def copied(_fn_args: object, output: Path) -> InteractionDataset:
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(clicks, output)
        return InteractionDataset.open(output)

    monkeypatch.setattr(tuner_module, "transformed_dataset", copied)

    def search(working: str, **changed: object) -> Path:
        told = tuner_module.TunerSettings("gru4rec", **{"directory": str(tmp_path / "tuning"), "trials": 2, **changed})
        fn_args = SimpleNamespace(custom_config=told.custom_config(), working_dir=str(tmp_path / working))
        tuner = tuner_module.tuner_fn(fn_args).tuner
        assert InteractionDataset.open(tuner.data).splits == InteractionDataset.open(clicks).splits
        return Path(tuner.folder.path)

    first = search("one")
    assert first.is_relative_to(tmp_path / "tuning")
    assert search("other", trials=5) == first  # TFX makes a working directory per attempt; trials may be added
    assert search("one", searched="another space") != first
    assert search("one", code="other") != first
    assert not (tmp_path / "one").exists()
