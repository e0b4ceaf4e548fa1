"""The retrieval task as one of the objectives."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.errors import ConfigError
from tfrec.training.model_store import run_config


def test_the_preset_trains_by_the_task() -> None:
    config = run_config("two_tower", assignments=["objective.retrieval.temperature=0.1"])
    assert config.objective.loss == "tfrs-retrieval"
    assert config.objective.retrieval.temperature == 0.1
    assert config.evaluation.exclude_history


def test_the_task_is_open_to_other_encoders_and_the_model_to_other_losses() -> None:
    assert run_config("sasrec", assignments=["objective.loss=tfrs-retrieval"]).objective.retrieval.group_size == 1024
    assert run_config("two_tower", assignments=["objective.loss=softmax"]).objective.sampler == "none"


@pytest.mark.parametrize("setting", [{"temperature": 0.1}, {"exclude_history": True}, {"sampler": "in-batch"}])
def test_settings_of_other_losses_are_not_passed_over_in_silence(setting: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="section `retrieval`"):
        SequenceObjectiveConfig.model_validate({"loss": "tfrs-retrieval", **setting})


def test_a_complete_configuration_can_be_read_again() -> None:
    config = SequenceObjectiveConfig.model_validate({"loss": "tfrs-retrieval", "retrieval": {"num_hard_negatives": 5}})
    assert SequenceObjectiveConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("objective.retrieval.temperature=0", "temperature"),
        ("objective.retrieval.num_hard_negative=3", "num_hard_negatives"),
        ("objective.retrieval.sampling_correction=streaming", "counts"),
        ("model.decays=[1.5]", r"\[0, 1\]"),
    ],
)
def test_wrong_values_are_named(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_config("two_tower", assignments=[assignment])
