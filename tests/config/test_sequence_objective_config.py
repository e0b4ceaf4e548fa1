"""Defaults that follow the loss, and combinations that make no sense."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tfrec.config.sequence_objective_config import SequenceObjectiveConfig as Config

NAMES = ("sampler", "num_negatives", "negatives", "exclude_history", "logq", "temperature")


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("softmax", ("none", 0, "shared", False, "none", 1.0)),
        ("sampled-softmax", ("popularity", 2048, "shared", False, "refined", 1.0)),
        ("bce", ("uniform", 1, "per-target", True, "none", 1.0)),
        ("gbce", ("uniform", 256, "per-target", True, "none", 1.0)),
        ("bpr", ("uniform", 1, "per-target", True, "none", 1.0)),
        ("bpr-max", ("popularity", 2048, "shared", False, "none", 1.0)),
        ("infonce", ("in-batch", 0, "shared", False, "refined", 0.05)),
        ("triplet", ("in-batch", 0, "shared", False, "none", 1.0)),
        ("infonce-triplet", ("in-batch", 0, "shared", False, "refined", 0.05)),
    ],
)
def test_defaults_of_a_loss(loss: str, expected: tuple[object, ...]) -> None:
    config = Config(loss=loss)
    assert tuple(getattr(config, name) for name in NAMES) == expected


@pytest.mark.parametrize("loss", ["softmax", "sampled-softmax", "bce", "gbce", "bpr", "bpr-max", "infonce"])
def test_a_complete_configuration_can_be_read_again(loss: str) -> None:
    config = Config(loss=loss)
    assert Config.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss": "sampled-softmax", "sampler": "in-batch"}, {"num_negatives": 0, "negatives": "shared"}),
        ({"loss": "bce", "sampler": "in-batch"}, {"num_negatives": 0, "negatives": "shared"}),
        ({"loss": "infonce", "sampler": "mixed"}, {"num_negatives": 2048, "logq": "refined"}),
        ({"loss": "infonce", "sampler": "uniform"}, {"num_negatives": 2048}),
        ({"loss": "sampled-softmax", "n_sample": 5, "sample_alpha": 1.0}, {"num_negatives": 5, "negative_alpha": 1.0}),
    ],
)
def test_a_sampler_brings_its_own_defaults(settings: dict[str, object], expected: dict[str, object]) -> None:
    config = Config.model_validate(settings)
    assert {name: getattr(config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "uniform"}, "takes sampler: none"),
        ({"exclude_history": True}, "exclude_history: false"),
        ({"num_negatives": 5}, "num_negatives: 0"),
        ({"logq": "standard"}, "logq: none"),
        ({"loss": "bce", "sampler": "none"}, "needs a sampler"),
        ({"loss": "triplet", "similarity": "dot"}, "compares by cosine"),
        ({"weights": {"1": 2.0}}, "weights go with weight_feature"),
        ({"weight_feature": "action"}, "weights go with weight_feature"),
        ({"weight_feature": "action", "weights": {"1": -2.0}}, "at least 0"),
        ({"loss": "bce", "num_negatives": 0}, "at least 1"),
        ({"loss": "bce", "logq": "refined"}, "logq corrects"),
        ({"loss": "bpr", "label_smoothing": 0.1}, "label_smoothing goes with"),
        ({"loss": "gbce", "sampler": "popularity"}, "calibration of gbce"),
        ({"loss": "infonce", "similarity": "dot"}, "compares by cosine"),
        ({"loss": "infonce", "negatives": "per-target"}, "per-target go with"),
        ({"loss": "sampled-softmax", "sampler": "in-batch", "num_negatives": 5}, "takes num_negatives: 0"),
        ({"loss": "sampled-softmax", "temperature": 0.0}, "greater than 0"),
        ({"loss": "gbce", "gbce_t": 1.5}, "less than or equal to 1"),
        ({"loss": "soft-max"}, "Input should be"),
    ],
)
def test_nonsense_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config.model_validate(settings)
