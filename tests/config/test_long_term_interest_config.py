"""Configuration of the long-term interest model: the publication's flags, presets, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tfrec.config.long_term_interest_config import LongTermInterestConfig
from tfrec.config.long_term_interest_flags import parse_flags
from tfrec.config.run_config import PairRunConfig
from tfrec.errors import ConfigError
from tfrec.training.model_store import run_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_the_flags_of_the_publication() -> None:
    text = "epochs=7,batch_size=32,lr=1e-2,item_embedding_dim=20,hidden_dim=24,depth=3,heads=2,moe_experts=6"
    flags = parse_flags(text + ",--moe_activated=3,moe_hidden=40,n_long=80,n_short=8,cate_dim=9,dim_head=4,dropout=0.2")
    config = run_config("long_term_interest", overlays=[("flags", flags)])
    assert isinstance(config, PairRunConfig)
    assert (config.training.epochs, config.training.batch_size, config.optimizer.learning_rate) == (7, 32, 0.01)
    model = config.model
    assert (model.item_dim, model.dim, model.depth, model.heads) == (20, 24, 3, 2)
    assert (model.experts, model.active_experts, model.expert_hidden) == (6, 3, 40)
    assert (model.long_length, model.short_length, model.item_feature_dim, model.head_dim) == (80, 8, 9, 4)
    assert model.dropout == 0.2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("moe_expert=3", "Did you mean `moe_experts`?"),
        ("epochs", "without `=`"),
        ("epochs=many", "cannot be read"),
        ("data_path=x.csv", "tfrec.datasets get tianchi"),
        ("save_dir=x", "--output"),
    ],
)
def test_flags_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_flags(text)
    assert message in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize("name", ["tiny", "demo"])
def test_configurations_that_are_delivered(name: str) -> None:
    config = run_config("long_term_interest", file=CONFIGS / name / "long_term_interest.yaml")
    assert isinstance(config, PairRunConfig)
    assert config.evaluation.targets_per_sequence == 1  # of the preset


@pytest.mark.parametrize(
    "settings",
    [
        {"experts": 3, "active_experts": 4},
        {"experts": 5, "expert_groups": 2},
        {"experts": 4, "expert_groups": 2, "active_groups": 1, "active_experts": 3},
        {"head_dim": 5},
        {"long_share": 1.0},
    ],
)
def test_what_contradicts_itself(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        LongTermInterestConfig(**settings)


def test_names_of_metrics_that_can_be_monitored() -> None:
    for name in ("user_recall@5", "user_mrr", "pairwise_accuracy", "negative_bpr"):
        run_config("long_term_interest", assignments=[f"training.monitor={name}"])
    with pytest.raises(ConfigError, match=r"training\.monitor"):
        run_config("long_term_interest", assignments=["training.monitor=ndcg@10"])


@pytest.mark.parametrize("course", ["schedule=cosine", "warmup_steps=5", "warmup_share=0.1"])
def test_a_scheduled_step_size_cannot_follow_a_plateau(course: str) -> None:
    course = f"optimizer.{course}"
    run_config("long_term_interest", assignments=[course])
    run_config("long_term_interest", assignments=[course, "training.patience=3", "training.plateau_factor=1"])
    with pytest.raises(ConfigError, match=r"training\.plateau_factor=0\.5"):
        run_config("long_term_interest", assignments=[course, "training.patience=3"])


def test_a_section_that_contradicts_itself_is_named_and_not_printed() -> None:
    with pytest.raises(ConfigError) as caught:
        run_config("long_term_interest", assignments=["model.experts=2", "model.active_experts=4"])
    problem = caught.value.problem
    assert problem == "The section `model` contradicts itself: active_experts=4 of 2 that can be selected."
