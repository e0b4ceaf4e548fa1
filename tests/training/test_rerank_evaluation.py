"""Re-ranking as a part of an evaluation: what it knows of items, when it runs, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.harness.planted_shop import planted_shop
from tests.harness.tiny_recommender import tiny_recommender
from tests.harness.tiny_run import tiny_run
from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.config.rerank_config import RerankConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors
from tfrec.errors import ConfigError
from tfrec.evaluation.item_likeness import item_likeness
from tfrec.training.evaluate_run import evaluate_run
from tfrec.training.rerank_evaluation import add_rerank_section


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    dataset = planted_shop(tmp_path_factory.mktemp("shop"), "int64")
    write_item_vectors(
        dataset, "planted", dataset.item_vocabulary.ids[1:], np.full((len(dataset.item_vocabulary.ids) - 1, 3), 2.0)
    )
    return dataset


def test_likeness_by_category_vectors_or_model(shop: InteractionDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_recommender("sasrec", shop)
    found = item_likeness(model, shop, RerankConfig(methods=["mmr", "calibration"]))
    colours = shop.item_features().categories["colour"]
    assert (found.category, found.vectors_of) == ("colour", "values of `colour`")
    assert found.vectors is not None
    assert found.categories is not None
    np.testing.assert_array_equal(found.categories, np.eye(5)[colours][:, 2:])  # three colours; 0 is none
    np.testing.assert_array_equal(found.vectors, found.categories)
    planted = item_likeness(model, shop, RerankConfig(vectors="planted")).vectors
    assert planted is not None
    np.testing.assert_allclose(np.linalg.norm(planted, axis=1), [0, 0, 0, *[1] * (len(planted) - 3)], atol=1e-6)
    with pytest.raises(ConfigError, match="Did you mean `colour`"):
        item_likeness(model, shop, RerankConfig(category="color"))
    monkeypatch.setattr(InteractionDataset, "has_item_features", False)
    own = item_likeness(model, shop, RerankConfig(methods=["mmr"]))
    assert own.vectors_of == "item vectors of the model"
    assert own.vectors is not None
    table = model.item_table()[0].numpy()
    np.testing.assert_allclose(own.vectors[2:] @ own.vectors[2], _cosines(table)[2:], atol=1e-5)
    with pytest.raises(ConfigError, match="`calibration` needs"):
        item_likeness(model, shop, RerankConfig(methods=["calibration"]))
    with pytest.raises(ConfigError, match="`mmr` needs"):
        item_likeness(tiny_recommender("markov", shop), shop, RerankConfig(methods=["mmr"]))


def _cosines(table: np.ndarray) -> np.ndarray:
    return table @ table[2] / (np.linalg.norm(table, axis=1) * np.linalg.norm(table[2]))


def test_nothing_is_added_unless_asked_for(shop: InteractionDataset) -> None:
    document: dict[str, Any] = {"model": "markov"}
    model, console = tiny_recommender("markov", shop), Console(record=True, width=120)
    add_rerank_section(document, model, shop, EvaluationConfig(), console)
    assert document == {"model": "markov"}
    settings = EvaluationConfig(rerank=RerankConfig(methods=["mmr"], length=3, strengths=[0.5]))
    add_rerank_section(document, model, shop, settings, console)
    section = document["reranking"]
    assert (section["lists"], section["length"]) == (shop.num_targets("test"), 3)
    assert section["candidates"] == shop.item_vocabulary.size - 2  # fewer than the 100 that were asked for
    assert [point["method"] for point in section["points"]] == [None, "mmr"]
    assert "mmr 0.5" in console.export_text()


def test_a_run_is_re_ranked_by_settings(shop: InteractionDataset, tmp_path: Path) -> None:
    tiny_run(tmp_path / "RUN", "popularity", shop)
    settings = ["evaluation.rerank.methods=[novelty]", "evaluation.rerank.length=4", "evaluation.bootstrap.samples=20"]
    output = tmp_path / "evaluation.json"
    report = tmp_path / "report.html"
    found = evaluate_run(
        tmp_path / "RUN", Console(quiet=True), assignments=settings, baselines=False, output=output, report=report
    )
    assert [point["strength"] for point in found["reranking"]["points"]] == [0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]
    assert '"reranking"' in output.read_text()
    assert "Novelty (popularity penalty)" in report.read_text()
    (tmp_path / "items.txt").write_text("1\n")
    with pytest.raises(ConfigError, match="does not go with `--candidates`"):
        evaluate_run(tmp_path / "RUN", Console(quiet=True), assignments=settings, candidates=tmp_path / "items.txt")
