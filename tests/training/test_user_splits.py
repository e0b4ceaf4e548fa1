"""Splits that can be measured by users, and features of a configuration that the data lack."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from rich.console import Console

from tests.harness.behavior_shop import TINY_LOG, behavior_shop
from tfrec.data.behavior_log import BehaviorLog
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError, DataError
from tfrec.models.long_term_interest import LongTermInterest
from tfrec.training.experiment import check_dataset
from tfrec.training.fit_user_pairs import fit_user_pairs
from tfrec.training.model_store import build_model, run_config
from tfrec.training.run_directory import RunDirectory
from tfrec.training.run_manifest import dataset_fingerprint
from tfrec.training.synthetic_data import synthetic_dataset
from tfrec.training.user_splits import check_users_apart, check_users_unseen


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    """Every user is in all splits; without categories and kinds of behaviour."""
    return behavior_shop(tmp_path_factory.mktemp("shared"), items=(), event_features=())


@pytest.mark.parametrize("changes", [[], ["evaluation.split=valid"]])
def test_users_of_training_are_not_measured(shared: InteractionDataset, changes: list[str]) -> None:
    with pytest.raises(DataError, match="random_user") as caught:
        check_dataset(shared, run_config("long_term_interest", assignments=changes))
    assert "`leave_one_out`" in str(caught.value)


def test_what_is_allowed(shared: InteractionDataset, tmp_path: Path) -> None:
    """Other models; whole users at random; files per split that an audit has found apart."""
    check_dataset(shared, run_config("sasrec"))
    with pytest.raises(DataError, match=r"no item vectors `minilm`\. Make them: `python -m tfrec\.texts encode"):
        check_dataset(shared, run_config("sasrec", assignments=["model.item_vectors=[minilm]"]))
    apart = behavior_shop(tmp_path, split="random_user", valid_fraction=0.2, test_fraction=0.2, audit=True)
    check_dataset(apart, run_config("long_term_interest", assignments=["training.patience=2"]))
    given = apart.manifest.split.model_copy(update={"rule": "given"})
    apart.manifest = apart.manifest.model_copy(update={"split": given})
    check_users_apart(apart, ["valid", "test"])
    apart.manifest.audit.users_in_several_splits["train+test"] = 1
    check_users_apart(apart, ["valid"])
    with pytest.raises(DataError, match="`test` may have users of `train`"):
        check_users_apart(apart, ["test"])
    apart.manifest = apart.manifest.model_copy(update={"audit": None})
    with pytest.raises(DataError, match="`valid` may have users of `train`"):
        check_users_apart(apart, ["valid"])


def test_other_data_must_have_other_users_than_those_of_the_run(shared: InteractionDataset, tmp_path: Path) -> None:
    """By their ids: whole users at random are not enough where other users were drawn for the training."""
    options: dict[str, Any] = {"split": "random_user", "valid_fraction": 0.2, "test_fraction": 0.2}
    own = behavior_shop(tmp_path / "own", **options, seed=1)
    run = {"dataset": dataset_fingerprint(own)}
    check_users_unseen(own, "test", run)
    drawn_anew = behavior_shop(tmp_path / "anew", **options, seed=2)
    users = [{*one.load_ragged(split).user_ids.tolist()} for one, split in ((drawn_anew, "test"), (own, "train"))]
    both = users[0] & users[1]
    with pytest.raises(
        DataError, match=f"{len(both)} of {len(users[0])} users of `test` are users that the run"
    ) as got:
        check_users_unseen(drawn_anew, "test", run)
    assert "not in the training split" in str(got.value)
    with pytest.raises(DataError, match="trained on: finding"):
        check_users_unseen(own, "train", run)
    with pytest.raises(DataError, match="trained on: finding"):
        check_users_unseen(shared, "test", run)
    events = BehaviorLog(TINY_LOG).events()
    strangers = events.set_column(0, "user_id", pc.add(events["user_id"], 10**6))
    later = behavior_shop(tmp_path / "later", events=strangers)
    check_users_unseen(later, "test", run)  # whatever its split rule: the run has seen none of them
    (tmp_path / "own" / "DS" / "manifest.json").unlink()
    with pytest.raises(DataError, match="Whether users of `test` were trained on is unknown"):
        check_users_unseen(later, "test", run)


@pytest.mark.parametrize("key", ["item_features", "event_features"])
def test_a_feature_that_was_asked_for_must_be_there(shared: InteractionDataset, key: str) -> None:
    config = run_config("long_term_interest", assignments=[f"model.{key}=[colour]"])
    with pytest.raises(ConfigError, match=rf"`model\.{key}` names `colour`"):
        build_model(config, shared)


def test_a_feature_of_the_defaults_may_be_missing_and_is_named(shared: InteractionDataset, tmp_path: Path) -> None:
    small = ["model.dim=8", "model.depth=1", "model.heads=1", "model.head_dim=4", "model.expert_hidden=4"]
    small += ["model.item_dim=4", "model.experts=2", "model.active_experts=1", "training.epochs=1"]
    config = run_config("long_term_interest", assignments=small)
    model = build_model(config, shared)
    assert isinstance(model, LongTermInterest)
    assert model.features_left_out == ["item_category", "behavior_type"]
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    said = io.StringIO()
    fit_user_pairs(model, shared, config, run, Console(file=said))
    assert "Not in the data set, so the model does without: `item_category`, `behavior_type`." in said.getvalue()


def test_generated_users_that_are_left_out_are_counted(tmp_path: Path) -> None:
    said = io.StringIO()
    dataset = synthetic_dataset(TINY_LOG, tmp_path / "dataset", Console(file=said, width=40))
    counts = pc.value_counts(BehaviorLog(TINY_LOG).events()["user_id"]).field("counts").to_numpy()
    sizes = ", ".join(f"{dataset.num_sequences(split)} in `{split}`" for split in dataset.splits)
    short = int((counts < 20).sum())
    assert short > 0
    assert said.getvalue() == f"40 users generated: {sizes}; {short} with fewer than 20 events are left out.\n"
