"""HSTU trained as for the challenge, told all that is known of items and users: resumed, exported, published, tuned."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from rich.console import Console

from tests.harness.planted_shop import NUM_USERS, VECTORS, planted_shop, user_id
from tests.harness.tiny_run import tiny_run
from tfrec.config.run_config import RunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.event_history import user_history
from tfrec.models.history_batch import history_batch
from tfrec.stores.model_vectors import ModelVectors
from tfrec.training.checkpoint_writer import CheckpointWriter
from tfrec.training.experiment import run_experiment
from tfrec.training.model_store import load_run, run_config
from tfrec.tuning.read_space import parse_space
from tfrec.tuning.search import run_search
from tfrec.tuning.search_settings import SearchSettings

QUIET = Console(quiet=True)
TOLD = (
    *("model.item_features=true", f"model.item_vectors=[{VECTORS}]", "model.user_features=true"),
    *("model.user_vectors=true", "model.feature_dim=4", "model.feature_hidden=[6]"),
    *("model.dim=8", "model.blocks=1", "model.max_length=8", "model.rotary_time=true", "model.similarity=cosine"),
    *("objective.loss=infonce", "objective.sampler=mixed", "objective.num_negatives=16"),
    *("optimizer.learning_rate=0.02", "optimizer.schedule=linear", "optimizer.warmup_share=0.2"),
    *("optimizer.weight_decay=0.01", "optimizer.embedding_l2=0.1", "optimizer.gradient_cap=1.0"),
    *("training.epochs=2", "training.batch_size=8", "training.similarities=true"),
    "evaluation.baselines=[popularity]",
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return planted_shop(tmp_path_factory.mktemp("shop"), "string", profiles=True)


def hstu(shop: InteractionDataset, *assignments: str) -> RunConfig:
    return run_config("hstu", assignments=[*TOLD, f"data.path={shop.path}", *assignments])


def rows(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "history.csv").open()))


def test_a_killed_run_in_16_bits_resumes_to_the_same_weights(
    shop: InteractionDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = hstu(shop, "training.precision=mixed_bfloat16", "training.checkpoint_minutes=0")
    run_experiment(config, tmp_path / "whole", QUIET, report=False)
    save = CheckpointWriter._save

    class Killed(BaseException):
        pass

    def save_then_die(self: CheckpointWriter, epoch: int, block: int) -> None:
        save(self, epoch, block)
        if (epoch, block) == (1, 2):
            raise Killed

    monkeypatch.setattr(CheckpointWriter, "_save", save_then_die)
    with pytest.raises(Killed):
        run_experiment(config, tmp_path / "killed", QUIET, report=False)
    monkeypatch.setattr(CheckpointWriter, "_save", save)
    run_experiment(config, tmp_path / "killed", QUIET, resume=True, report=False)
    models = [load_run(tmp_path / name).model for name in ("whole", "killed")]
    for one, two in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    history = rows(tmp_path / "whole")
    assert [row["loss"] for row in rows(tmp_path / "killed")] == [row["loss"] for row in history]
    # What it learns: targets come nearer. The gap is the difference of the two.
    assert float(history[-1]["loss"]) < float(history[0]["loss"])
    for row in history:
        positive, negative, gap = (
            float(row[name]) for name in ("positive_similarity", "negative_similarity", "similarity_gap")
        )
        assert gap == pytest.approx(positive - negative, abs=1e-4)
    assert float(history[-1]["positive_similarity"]) > float(history[0]["positive_similarity"])
    written = set()
    for file in (tmp_path / "whole" / "tensorboard").rglob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            written |= {value.tag for value in event.summary.value}
    assert {"epoch_similarity_gap", "epoch_positive_similarity", "epoch_negative_similarity", "epoch_loss"} <= written
    assert "epoch_learning_rate" in written


def test_published_users_are_states_after_their_histories_and_profiles(
    shop: InteractionDataset, tmp_path: Path
) -> None:
    inputs = {"item_features": True, "item_vectors": [VECTORS], "user_features": True, "rotary_time": True}
    model = tiny_run(tmp_path / "run", "hstu", shop, **inputs)
    published: dict[str, np.ndarray] = {}

    class Writer:
        def write(self, ids: pa.Array, vectors: np.ndarray) -> None:
            published.update(zip(ids.to_pylist(), vectors, strict=True))

    vectors = ModelVectors(load_run(tmp_path / "run"), shop, ["test", "valid", "train"])
    vectors.write_users(Writer(), lambda done: None)  # type: ignore[arg-type]
    assert len(published) == NUM_USERS
    for number in (0, 2, 7):
        user = user_id(number, "string")
        history = user_history(shop, str(user))
        batch, _ = history_batch(
            tf.constant([history.items], tf.int32),
            tf.constant([len(history.items)]),
            window=model.history_window,
            timestamps=tf.constant([history.timestamps]),
            users=tf.constant([history.user]),
        )
        np.testing.assert_allclose(published[user], model.encode_targets(batch)[0], atol=1e-5)
        stranger = model.encode_targets({**batch, "user": tf.constant([1])})[0].numpy()
        # The second user is in no file: he is as unknown as a stranger.
        assert bool(np.abs(stranger - published[user]).max() > 1e-3) is (number != 2)


@pytest.mark.one_stack
def test_settings_of_inputs_are_searched(shop: InteractionDataset, tmp_path: Path) -> None:
    told = {"type": "choice", "values": [True, False]}
    space = parse_space("hstu", {"space": {"model.user_features": told}}, source="x")
    settings = SearchSettings(
        space,
        trials=2,
        assignments=(*(text for text in TOLD if "user_features" not in text), "training.epochs=1"),
        objective="ndcg@10",
        confirm_seeds=0,
    )
    document = run_search(settings, tmp_path / "s", QUIET, data=str(shop.path))
    assert not document.get("failures")
    assert set(document["best"]["settings"]) == {"model.user_features"}
