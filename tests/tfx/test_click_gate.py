"""The Evaluator of click models: exact metrics, bounds in the right direction; models made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.tfx
pytest.importorskip(
    "tfx", reason="TFX is not installed (extra `tfx`; above Python 3.10 it needs glibc 2.39)", exc_type=ImportError
)

from tests.tfx.run_evaluator import run_evaluator, write_test_split  # noqa: E402
from tfrec.errors import ConfigError  # noqa: E402
from tfx_pipeline.impressions.click_evaluator_config import MODULE, click_evaluator_config  # noqa: E402
from tfx_pipeline.impressions.click_gate_config import ClickGateConfig, check_click_gate  # noqa: E402

LABELS = [1, 0, 1, 0, 0, 1, 0, 0]
CITIES = ["ü", "ü", "b", "b", "b", None, "ü", "ü"]
LOGITS = {
    "calm": [1.0, -0.5, 0.5, 0.0, -1.0, -0.5, -0.5, 0.5],
    "loud": [8.0, -4.0, 4.0, 0.0, -8.0, -4.0, -4.0, 4.0],  # the same order, overconfident
    "uneven": [-2.0, -0.5, 0.5, -3.0, -3.0, 1.0, -0.5, -0.6],  # better, but not in `ü`
}
GATE = ClickGateConfig(
    minimum={"auc": 0.5},
    maximum={"logloss": 2.0},
    max_loss={"auc": 0.05, "logloss": 0.05},
    max_slice_loss={"auc": 0.3},
    min_slice_rows=3,
    min_slice_clicks=1,
)


class HandMade(tf.Module):
    """A model whose logits are a feature of the examples."""

    def __init__(self, feature: str) -> None:
        super().__init__()
        self.feature = feature

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serialized(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        logit = tf.io.parse_example(examples, {self.feature: tf.io.FixedLenFeature([], tf.float32)})[self.feature]
        return {"probability": tf.sigmoid(logit), "logit": logit}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("gate")
    examples = []
    for row, (label, city) in enumerate(zip(LABELS, CITIES, strict=True)):
        features = {"clicked": tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))}
        if city is not None:
            features["city"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[city.encode()]))
        for name, logits in LOGITS.items():
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[logits[row]]))
        examples.append(features)
    for name in LOGITS:
        module = HandMade(name)
        place = str(root / name / "Format-Serving")
        tf.saved_model.save(module, place, signatures={"serialized": module.serialized})
    write_test_split(root, examples)
    return root


def decide(folder: Path, output: Path, model: str, baseline: str | None) -> Any:
    config = click_evaluator_config(GATE, "clicked", ["city", "town"])  # a column that no example has
    decision, blessed = run_evaluator(folder, output, model, baseline, config, MODULE)
    assert decision.blessed == blessed
    return decision


def pairs_auc(name: str, rows: list[int]) -> float:
    """Share of pairs of a click and another row in the right order."""
    values = [
        (LOGITS[name][one] > LOGITS[name][other]) + 0.5 * (LOGITS[name][one] == LOGITS[name][other])
        for one in rows
        for other in rows
        if LABELS[one] and not LABELS[other]
    ]
    return float(np.mean(values))


def mean_loss(name: str) -> float:
    p = 1.0 / (1.0 + np.exp(-np.array(LOGITS[name])))
    return float(-np.mean(np.log(np.where(np.array(LABELS) > 0, p, 1.0 - p))))


def test_the_first_model_is_blessed_without_a_baseline(folder: Path, tmp_path: Path) -> None:
    decision = decide(folder, tmp_path, "calm", None)
    assert decision.blessed
    values = {name: models["candidate"] for name, models in decision.slices.items()}
    assert list(values) == ["all", "city:(missing)", "city:b", "city:ü", "town:(missing)"]
    assert values["all"]["rows"] == 8
    assert values["all"]["clicks"] == 3
    assert values["all"]["auc"] == pytest.approx(pairs_auc("calm", list(range(8))), abs=1e-12)
    assert values["all"]["logloss"] == pytest.approx(mean_loss("calm"), abs=1e-9)
    # Thresholds 1, 0.5, 0, -0.5: clicks 1, 2, 2, 3 of 1, 3, 4, 7 rows.
    assert values["all"]["ap"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 7) / 3, abs=1e-12)
    assert values["city:ü"]["rows"] == 4
    assert values["city:ü"]["auc"] == pytest.approx(pairs_auc("calm", [0, 1, 6, 7]), abs=1e-12)
    assert "auc" not in values["city:(missing)"]  # one row: there is none
    assert values["town:(missing)"]["logloss"] == values["all"]["logloss"]
    assert decision.small_slices(GATE) == ["city:(missing)"]


def test_more_log_loss_is_worse_though_the_order_is_the_same(folder: Path, tmp_path: Path) -> None:
    decision = decide(folder, tmp_path, "loud", "calm")
    assert decision.slices["all"]["candidate"]["auc"] == decision.slices["all"]["baseline"]["auc"]
    own, old = mean_loss("loud"), mean_loss("calm")
    assert decision.reasons == [
        f"logloss of all rows is {own:.4f}, {own - old:.4f} above the baseline's {old:.4f}; at most 0.05 may be lost"
    ]


def test_less_log_loss_is_better_and_a_worse_slice_blocks(folder: Path, tmp_path: Path) -> None:
    decision = decide(folder, tmp_path, "uneven", "loud")
    assert mean_loss("uneven") < mean_loss("loud")
    assert pairs_auc("uneven", list(range(8))) > pairs_auc("loud", list(range(8)))
    assert decision.reasons == ["auc of city:ü is 0.0000, 1.0000 below the baseline's 1.0000; at most 0.3 may be lost"]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (ClickGateConfig(minimum={"logloss": 0.1}), "Of `logloss`, less is better"),
        (ClickGateConfig(maximum={"auc": 0.1}), "Of `auc`, more is better"),
        (ClickGateConfig(max_loss={"recall@20": 0.1}), "`recall@20`, which is no metric"),
    ],
)
def test_bounds_are_of_metrics_in_their_direction(gate: ClickGateConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_click_gate(gate)
