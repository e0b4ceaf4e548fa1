"""The Evaluator blesses and blocks: models made by hand, whose ranks stand in the examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from tests.tfx.run_evaluator import run_evaluator, write_test_split  # noqa: E402
from tfrec.config.evaluation_config import EvaluationConfig  # noqa: E402
from tfx_pipeline.evaluator_config import MODULE, evaluator_config  # noqa: E402
from tfx_pipeline.gate_config import GateConfig  # noqa: E402

INF = 1_000_000
# Two targets per example: (popularity, history), ranks by the baseline, by a model better overall but worse in the
# tail, and by a worse one. Recall@3 of all 8: 4/8, 5/8, 1/8; of the 2 in the tail: 2/2, 0/2, 0/2.
EXAMPLES: list[dict[str, list[int]]] = [
    {"popularity": [0, 0], "history": [1, 2], "old": [1, 9], "uneven": [1, 3], "worse": [9, 9]},
    {"popularity": [0, 1], "history": [1, 2], "old": [9, 9], "uneven": [2, 2], "worse": [9, 9]},
    {"popularity": [2, 2], "history": [2, 3], "old": [3, 2], "uneven": [4, INF], "worse": [9, 9]},
    {"popularity": [0, 1], "history": [4, 5], "old": [3, 8], "uneven": [3, 8], "worse": [3, 8]},
]
GATE = GateConfig(
    minimum={"recall@3": 0.1},
    max_loss={"recall@3": 0.1},
    max_slice_loss={"recall@3": 0.5},
    min_slice_targets=2,
    cold_history=2,
)


class HandMade(tf.Module):
    """A model whose ranks are a feature of the examples."""

    def __init__(self, feature: str) -> None:
        super().__init__()
        self.feature = feature

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def rank_targets(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        names = [self.feature, "popularity", "history"]
        found = tf.io.parse_example(examples, {name: tf.io.FixedLenFeature([2], tf.int64) for name in names})
        rank = tf.cast(found[self.feature], tf.float32)
        return {
            "rank": tf.where(rank >= INF, float("inf"), rank),
            "greater": found[self.feature] - 1,
            "greater_equal": found[self.feature],
            "popularity": found["popularity"],
            "history": found["history"],
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gate")
    for name in ("old", "uneven", "worse"):
        module = HandMade(name)
        place = root / name / "Format-Serving"
        tf.saved_model.save(module, str(place), signatures={"rank_targets": module.rank_targets})
    examples = [
        {name: tf.train.Feature(int64_list=tf.train.Int64List(value=held)) for name, held in columns.items()}
        for columns in EXAMPLES
    ]
    write_test_split(root, examples)
    return root


def evaluate(folder: Path, output: Path, model: str, baseline: str | None, gate: GateConfig = GATE) -> Any:
    """Returns the decision."""
    config = evaluator_config(gate, EvaluationConfig(cutoffs=[3]))
    decision, blessed = run_evaluator(folder, output, model, baseline, config, MODULE)
    assert decision.blessed == blessed
    return decision


def test_the_first_model_is_blessed_without_a_baseline(folder: Path, tmp_path: Path) -> None:
    decision = evaluate(folder, tmp_path, "old", None)
    assert decision.blessed
    assert decision.reasons == []
    values = {name: row["candidate"] for name, row in decision.slices.items()}
    assert values["all"]["targets"] == 8
    assert values["all"]["recall@3"] == pytest.approx(4 / 8)
    assert values["all"]["mrr@3"] == pytest.approx((1 + 1 / 3 + 1 / 2 + 1 / 3) / 8)
    assert values["item_popularity:head"]["targets"] == 4
    assert values["item_popularity:head"]["recall@3"] == pytest.approx(2 / 4)
    assert values["item_popularity:tail"]["recall@3"] == pytest.approx(2 / 2)
    assert values["user_history:cold"]["recall@3"] == pytest.approx(1 / 2)
    assert values["user_history:warm"]["targets"] == 6


def test_a_worse_model_is_blocked_with_the_reason(folder: Path, tmp_path: Path) -> None:
    decision = evaluate(folder, tmp_path, "worse", "old")
    assert not decision.blessed
    reasons = " ".join(decision.reasons)
    assert "recall@3 of all targets is 0.1250, 0.3750 below the baseline's 0.5000; at most 0.1 may be lost" in reasons


def test_a_model_better_overall_but_worse_in_one_slice_is_blocked_by_the_slice(folder: Path, tmp_path: Path) -> None:
    decision = evaluate(folder, tmp_path, "uneven", "old")
    assert decision.slices["all"]["candidate"]["recall@3"] == pytest.approx(5 / 8)
    assert not decision.blessed
    assert decision.reasons == [
        "recall@3 of item_popularity:tail is 0.0000, 1.0000 below the baseline's 1.0000; at most 0.5 may be lost"
    ]


def test_a_slice_of_few_targets_is_shown_and_does_not_block(folder: Path, tmp_path: Path) -> None:
    gate = GATE.model_copy(update={"min_slice_targets": 3})
    decision = evaluate(folder, tmp_path, "uneven", "old", gate)
    assert decision.reasons == []
    assert decision.blessed
    tail = decision.slices["item_popularity:tail"]
    assert [tail[model]["recall@3"] for model in ("candidate", "baseline")] == [0.0, 1.0]
    assert set(tail["candidate"]) == {"targets", "recall@3", "ndcg@3", "mrr@3"}
    assert decision.small_slices(gate) == ["item_popularity:torso", "item_popularity:tail", "user_history:cold"]


def test_a_model_below_the_minimum_is_blocked_without_a_baseline(folder: Path, tmp_path: Path) -> None:
    gate = GATE.model_copy(update={"minimum": {"recall@3": 0.2}})
    decision = evaluate(folder, tmp_path, "worse", None, gate)
    assert decision.reasons == ["recall@3 of all targets is 0.1250; at least 0.2 is needed"]
