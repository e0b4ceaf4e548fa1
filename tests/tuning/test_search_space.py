"""Search spaces: what may be written, what it means, and how many configurations it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfrec.errors import ConfigError
from tfrec.tuning.read_space import parse_space, read_space
from tfrec.tuning.search_settings import SearchSettings
from tfrec.tuning.search_space import SearchSpace


def space(**parameters: Any) -> SearchSpace:
    keys = {key.replace("__", "."): value for key, value in parameters.items()}
    return parse_space("gru4rec", {"space": keys}, source="`x.yaml`")


LOSSES = {"type": "choice", "values": ["cross-entropy", "bpr-max"]}


BUILT_IN = sorted(path.stem for path in (Path(__file__).parents[2] / "configs" / "tuning").glob("*.yaml"))


@pytest.mark.parametrize("model", BUILT_IN)
def test_built_in_spaces_are_valid(model: str) -> None:
    assert {"gru4rec", "sasrec", "two_tower", "item_knn"} <= set(BUILT_IN)
    assert SearchSettings(read_space(model)).trial_config({}).model.name == model


def test_the_published_spaces_of_gru4rec() -> None:
    built_in = read_space("gru4rec")
    # Layers 64..512 by 32: 15; batch 32..256 by 16: 15; rate .01...25 by .005: 49; drop-outs 0...5 and 0...7 by .05: 11
    # and 15; momentum 0...9 by .05: 19; alpha 0..1 by .1: 11. With bpr-max also bpreg 0..2 by .05: 41; 3 activations.
    alone = 15 * 15 * 49 * 11 * 15 * 19 * 11
    assert built_in.pinned({"objective.loss": "cross-entropy"}).combinations() == alone
    assert built_in.pinned({"objective.loss": "bpr-max"}).combinations() == alone * 41 * 3
    assert built_in.combinations() == alone * (1 + 41 * 3)
    grids = {parameter.key: parameter.grid for parameter in built_in.parameters}
    assert grids["model.layers"] == tuple(range(64, 513, 32))
    # The largest value belongs to the space, and multiples of a step are the numbers a person would write.
    assert grids["model.dropout_hidden"] == tuple(round(0.05 * place, 2) for place in range(15))
    assert grids["objective.score_regularization"][-1] == 2.0


def test_values_reach_the_configuration_as_they_are_written() -> None:
    searched = space(
        model__layers={"type": "int", "min": 8, "max": 16, "step": 8, "as_list": True},
        optimizer__averages={"type": "choice", "values": [[], [0.9]]},
        model__init_normal={"type": "boolean"},
        training__batch_size={"type": "int", "min": 8, "max": 64, "step": 2, "log": True},
    )
    codes = {"model.layers": 1, "optimizer.averages": 1, "model.init_normal": 0, "training.batch_size": 3, "tuner/x": 1}
    assert searched.decode(codes) == {
        "model.layers": [16],
        "optimizer.averages": [0.9],
        "model.init_normal": False,
        "training.batch_size": 64,
    }
    assert searched.combinations() == 2 * 2 * 2 * 4


def test_a_continuum_has_no_number_of_combinations() -> None:
    rate = {"type": "float", "min": 0.001, "max": 0.1, "log": True}
    assert space(optimizer__learning_rate=rate).combinations() is None
    assert space(training__batch_size={"type": "int", "min": 8, "max": 15}).combinations() == 8


def test_conditions_chain_and_count() -> None:
    activation = {"type": "choice", "values": ["linear", "elu-1"], "when": {"objective.loss": "bpr-max"}}
    bpreg = {"type": "choice", "values": [0.0, 1.0, 2.0], "when": {"objective.final_activation": ["elu-1"]}}
    # Children may be written first. cross-entropy: 1; bpr-max: linear 1 + elu-1 with 3 values.
    searched = space(
        objective__score_regularization=bpreg, objective__final_activation=activation, objective__loss=LOSSES
    )
    assert [p.key.rpartition(".")[2] for p in searched.parameters] == [
        "loss",
        "final_activation",
        "score_regularization",
    ]
    assert searched.combinations() == 1 + 1 + 3
    hyperparameters = searched.hyperparameters()
    hyperparameters.values = {"objective.loss": 0}
    assert not hyperparameters.is_active("objective.score_regularization")
    hyperparameters.values = {"objective.loss": 1, "objective.final_activation": 1}
    assert hyperparameters.is_active("objective.score_regularization")


def test_what_the_user_decides_is_not_searched() -> None:
    bpreg = {"type": "float", "min": 0, "max": 2, "step": 1, "when": {"objective.loss": "bpr-max"}}
    searched = space(
        objective__loss=LOSSES,
        objective__score_regularization=bpreg,
        optimizer__momentum={"type": "choice", "values": [0.0, 0.5]},
    )
    kept = searched.pinned({"objective.loss": "bpr-max"})
    assert {p.key: p.when for p in kept.parameters} == {"objective.score_regularization": {}, "optimizer.momentum": {}}
    assert [p.key for p in searched.pinned({"objective.loss": "top1"}).parameters] == ["optimizer.momentum"]
    with pytest.raises(ConfigError, match="Nothing is left to search"):
        searched.pinned({"objective.loss": "top1", "optimizer.momentum": 0.1})


RATE = {"type": "float", "min": 0, "max": 1}
BAD = [
    ({"optimizer.learning_rat": {"type": "float", "min": 0.1, "max": 1}}, r"`optimizer.learning_rat`.*`learning_rate`"),
    ({"optimiser.momentum": {"type": "float", "min": 0.1, "max": 0.5}}, "Did you mean `optimizer`"),
    ({"optimizer.momentum": {"type": "float", "mim": 0.1, "max": 0.5}}, "Did you mean `min`"),
    ({"optimizer.momentum": {"type": "float", "min": 0.0, "max": 1.0}}, "become `1.0`: input should be less than 1"),
    ({"objective.loss": {"type": "choice", "values": ["bpr", "brp-max"]}}, "can become `brp-max`"),
    ({"model.layers": {"type": "int", "min": 8, "max": 16}}, "valid list"),
    ({"model": {"type": "boolean"}}, "is a section"),
    ({"evaluation.tie_rule": {"type": "choice", "values": ["median"]}}, "cannot be searched"),
    ({"seed": {"type": "int", "min": 0, "max": 9}}, "cannot be searched"),
    ({"training.batch_size": {"type": "int", "min": 9, "max": 8}}, r"`min` \(9\) is above `max` \(8\)"),
    ({"training.batch_size": {"type": "int", "min": 8.5, "max": 9}}, "whole numbers"),
    ({"optimizer.l2": {"type": "float", "min": 0, "max": 1, "log": True}}, "`log` needs a `min` above 0"),
    ({"training.batch_size": {"type": "int"}}, "needs `min` and `max`"),
    ({"objective.loss": {"type": "choice"}}, "choice needs `values`"),
    ({"objective.loss": {"type": "choice", "values": ["bpr", "bpr"]}}, "given twice"),
    ({"objective.loss": LOSSES, "optimizer.l2": {**RATE, "when": {"objective.los": 1}}},
     "Did you mean `loss`"),
    ({"objective.loss": LOSSES, "optimizer.l2": {**RATE, "when": {"objective.loss": "x"}}},
     "says `x`, but `objective.loss` has the values cross-entropy, bpr-max"),
    ({"optimizer.l2": {**RATE, "when": {"objective.loss": "bpr"}}}, "which is not searched"),
    ({"model.init_normal": {"type": "boolean", "when": {"training.time_sort": True}},
      "training.time_sort": {"type": "boolean", "when": {"model.init_normal": True}}}, "in a circle"),
    ({}, "no `space`"),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "message"), BAD)
def test_mistakes_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_space("gru4rec", {"space": parameters}, source="`x.yaml`")


def test_paper_names_and_what_is_fixed_are_checked_too() -> None:
    document = {"fixed": {"training.n_epochs": 3}, "space": {"objective.bpreg": {"type": "float", "min": 0, "max": 2}}}
    parsed = parse_space("gru4rec", document, source="x")
    assert parsed.fixed == {"training.epochs": 3}
    assert parsed.parameters[0].key == "objective.score_regularization"
    with pytest.raises(ConfigError, match="can become `0`"):
        parse_space("gru4rec", {**document, "fixed": {"training.epochs": 0}}, source="x")
    with pytest.raises(ConfigError, match="for the model `sasrec`"):
        parse_space("gru4rec", {**document, "model": "sasrec"}, source="x")
    with pytest.raises(ConfigError, match="no search space for `markov`"):
        read_space("markov")
