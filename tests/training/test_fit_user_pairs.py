"""The long-term interest model through `train` and `evaluate`: it learns, resumes, validates, reports experts."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from rich.console import Console

from tests.harness.behavior_shop import TINY_MODEL, behavior_shop
from tests.sequence_batches import make_batch
from tfrec.config.behavior_log_config import BehaviorLogConfig
from tfrec.config.training_config import PairTrainingConfig
from tfrec.data.behavior_log import BehaviorLog
from tfrec.data.dataset import InteractionDataset
from tfrec.data.user_windows import user_pairs
from tfrec.errors import DataError, SchemaMismatchError
from tfrec.evaluation.user_retrieval import retrieve_users
from tfrec.evaluation.user_vectors import model_vectors
from tfrec.models.long_term_interest import LongTermInterest
from tfrec.stores.model_vectors import ModelVectors
from tfrec.stores.vector_directory import VectorDirectoryWriter
from tfrec.training import fit_epochs
from tfrec.training.evaluate_run import evaluate_run
from tfrec.training.experiment import run_experiment
from tfrec.training.expert_usage import usage_of
from tfrec.training.fit_user_pairs import fit_user_pairs
from tfrec.training.model_store import build_model, load_run, run_config
from tfrec.training.run_directory import RunDirectory
from tfrec.training.user_validation import UserValidation

QUIET = Console(quiet=True)
LOG: dict[str, Any] = {
    "num_users": 300,
    "num_categories": 12,
    "styles_per_category": 2,
    "items_per_style": 4,
    "mean_events": 25,
    "max_events": 40,
}
SETTINGS = {
    **{f"model.{key}": value for key, value in TINY_MODEL.items()},
    "model.readout": "mean",
    "training.batch_size": 32,
    "training.epochs": 3,
    "optimizer.learning_rate": 0.01,
    "evaluation.baselines": "[popularity]",
    "evaluation.details": False,
    "evaluation.bootstrap.samples": 20,
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    log = BehaviorLogConfig(**LOG)
    return behavior_shop(
        tmp_path_factory.mktemp("shop"), log, split="random_user", valid_fraction=0.2, test_fraction=0.2
    )


def configured(shop: InteractionDataset, **changes: Any) -> Any:
    settings = {**SETTINGS, "data.path": shop.path, **{key.replace("__", "."): value for key, value in changes.items()}}
    return run_config("long_term_interest", assignments=[f"{key}={value}" for key, value in settings.items()])


@pytest.fixture(scope="module")
def trained(shop: InteractionDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    run = tmp_path_factory.mktemp("runs") / "run"
    return run, run_experiment(configured(shop, training__patience=5), run, QUIET)


def test_it_learns_and_says_so_everywhere(trained: tuple[Path, dict[str, Any]]) -> None:
    run, metrics = trained
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    document = json.loads((run / "evaluation.json").read_text())["users"]
    own = document["models"]["long_term_interest"]
    assert metrics["test"]["user_recall@10"] == own["metrics"]["user_recall@10"]
    assert own["metrics"]["pairwise_accuracy"] > 0.55
    assert own["metrics"]["user_recall@10"] > document["chance"]["user_recall@10"]
    assert set(document["models"]) == {"long_term_interest", "mean_pooling", "category_counts", "item_counts"}
    pooled = document["models"]["mean_pooling"]
    gap = own["metrics"]["user_recall@10"] - pooled["metrics"]["user_recall@10"]
    found = pooled["difference"]["user_recall@10"]
    assert found["value"] == pytest.approx(gap)
    assert found["low"] <= found["value"] <= found["high"]
    assert metrics["test"]["num_targets"] == document["users"]  # next items: one target per user
    best = max(float(row["valid_user_recall@10"]) for row in rows)
    assert metrics["train"]["valid_user_recall@10"] == best


def test_usage_of_experts_by_epoch(trained: tuple[Path, dict[str, Any]], shop: InteractionDataset) -> None:
    run, _ = trained
    epochs = json.loads((run / "expert_usage.json").read_text())["epochs"]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert set(epochs[0]["layers"]) == {"long 1", "short 1"}
    for epoch in epochs:
        for layer in epoch["layers"].values():
            np.testing.assert_allclose(sum(layer["shares"]), 1.0)
            assert 0 <= layer["entropy"] <= 1
    assert any("experts" in str(path) for path in (run / "tensorboard").rglob("*events*"))
    page = (run / "report.html").read_text()
    assert 'id="users"' in page
    assert 'id="experts"' in page


def test_usage_by_hand() -> None:
    found = usage_of(np.array([0.5, 0.25, 0.25, 0.0]))
    np.testing.assert_allclose(found["entropy"], (0.5 * np.log(2) + 0.5 * np.log(4)) / np.log(4))
    assert found["max_min"] is None
    assert usage_of(np.array([0.6, 0.4]))["max_min"] == pytest.approx(1.5)


def test_evaluated_again_it_is_the_same(trained: tuple[Path, dict[str, Any]]) -> None:
    run, metrics = trained
    document = evaluate_run(run, QUIET, baselines=False)
    again = document["users"]["models"]["long_term_interest"]["metrics"]
    for name, value in again.items():
        np.testing.assert_allclose(value, metrics["test"][name], atol=1e-6)


def test_users_of_the_training_are_not_evaluated_under_another_name(
    trained: tuple[Path, dict[str, Any]], shop: InteractionDataset, tmp_path: Path
) -> None:
    """A copy of the data whose splits `train` and `test` have changed places."""
    shutil.copytree(shop.path, tmp_path / "DS")
    manifest = tmp_path / "DS" / "manifest.json"
    document = json.loads(manifest.read_text())
    splits = document["splits"]
    splits["train"], splits["test"] = splits["test"], splits["train"]
    manifest.write_text(json.dumps(document))
    users = shop.num_sequences("train")
    with pytest.raises(DataError, match=f"{users} of {users} users of `test` are users that the run was trained on"):
        evaluate_run(trained[0], QUIET, data=[str(tmp_path / "DS")], baselines=False)


@pytest.mark.slow
def test_a_resumed_run_has_the_same_weights(
    shop: InteractionDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the second epoch: weights, counts of selections and their bias go on where they were."""
    quick = {"training__batch_size": 64, "optimizer__name": "adagrad"}
    config = configured(shop, training__epochs=2, training__checkpoint_minutes=0, **quick)

    def fit(name: str, *, resume: bool = False) -> LongTermInterest:
        model = build_model(config, shop)
        assert isinstance(model, LongTermInterest)
        run = RunDirectory(tmp_path / name)
        run.path.mkdir(exist_ok=True)
        fit_user_pairs(model, shop, config, run, QUIET, resume=resume)
        return model

    class Killed(Exception):
        pass

    class Interrupt(fit_epochs.NanGuard):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if int(self.model.optimizer.iterations) == 4:  # in the second epoch, which begins with step 3
                raise Killed

    whole = fit("whole")
    with monkeypatch.context() as patch:
        patch.setattr(fit_epochs, "NanGuard", Interrupt)
        with pytest.raises(Killed):
            fit("parts")
    parts = fit("parts", resume=True)
    assert int(whole.optimizer.iterations) == 6
    for mine, theirs in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)
    usage = [json.loads((tmp_path / name / "expert_usage.json").read_text()) for name in ("whole", "parts")]
    assert usage[0] == usage[1]


def test_the_step_size_follows_a_plateau(shop: InteractionDataset, tmp_path: Path) -> None:
    """Values 3, 2, 2, 4, 4, 4: with a patience of one epoch it is halved after the second and the fourth bad one."""
    model = build_model(configured(shop), shop)
    model.compile(optimizer="sgd")
    model.optimizer.learning_rate.assign(0.8)
    training = PairTrainingConfig(plateau_patience=1, plateau_factor=0.5)
    watch = UserValidation(
        shop, configured(shop).evaluation, tmp_path, QUIET, monitor="user_mrr", patience=9, training=training
    )
    watch.set_model(model)
    values, rates = iter([3.0, 2.0, 2.0, 4.0, 4.0, 4.0]), []
    watch.measured = lambda logs: next(values)  # type: ignore[method-assign]
    for epoch in range(6):
        watch.on_epoch_end(epoch, {})
        rates.append(round(float(model.optimizer.learning_rate), 6))
    assert rates == [0.8, 0.8, 0.4, 0.4, 0.4, 0.2]
    assert watch.state()["best"] == 4.0


def test_validation_draws_users_where_there_are_many(shop: InteractionDataset, tmp_path: Path) -> None:
    """25 of about 60, the same in every epoch, with the vectors they have among all; the evaluation takes all."""
    model = build_model(configured(shop), shop)
    assert isinstance(model, LongTermInterest)
    everyone, vectors = model_vectors(model, shop, "valid")
    total = shop.num_sequences("valid")
    assert len(everyone) == total > 40
    drawn, of_drawn = model_vectors(model, shop, "valid", 25)
    again, _ = model_vectors(model, shop, "valid", 25)
    assert drawn.tolist() == again.tolist()
    place = [everyone.tolist().index(owner) for owner in drawn]
    assert len(set(place)) == 25
    assert max(np.diff(place)) > 1  # not the first ones
    for side in ("long", "short"):
        np.testing.assert_allclose(of_drawn[side], vectors[side][place], atol=1e-5)
    said = io.StringIO()
    for most in (25, total):
        training = PairTrainingConfig(validation_users=most)
        watch = UserValidation(
            shop,
            configured(shop).evaluation,
            tmp_path,
            Console(file=said, width=200),
            monitor="user_mrr",
            patience=9,
            training=training,
        )
        watch.set_model(model)
        values = [watch.measured(None), watch.measured(None)]
        own = {25: (of_drawn, drawn), total: (vectors, everyone)}[most]
        assert (
            values == [pytest.approx(retrieve_users(own[0]["long"], own[0]["short"], own[1]).metrics()["user_mrr"])] * 2
        )
    assert said.getvalue() == f"  Validated with 25 of {total} users of `valid`, drawn the same in every epoch.\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"moe_position": "input", "balance": "usage", "use_mask": False},
        {"moe_position": "none", "readout": "cls"},
        {"balance": "auxiliary", "expert_score": "softmax", "experts": 4, "expert_groups": 2, "active_groups": 1},
    ],
)
def test_every_variant_takes_a_step(shop: InteractionDataset, changes: dict[str, Any]) -> None:
    config = configured(shop, objective__loss="bpr", **{f"model__{key}": value for key, value in changes.items()})
    model = build_model(config, shop)
    assert isinstance(model, LongTermInterest)
    pair = next(iter(user_pairs(shop, "train", 16, model.windows)))
    with tf.GradientTape() as tape:
        losses, balance = model.pair_losses(config.objective, pair, tf.constant(3))
        cost = tf.reduce_mean(losses) + balance
    assert np.isfinite(losses).all()
    gradients = tape.gradient(cost, [weight.value for weight in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        if gradient is None:  # a class token that nobody reads is still attended to; row tables always have one
            pytest.fail(f"{weight.path} has no gradient")
    expected = 1 if changes.get("moe_position") == "input" else 0 if changes.get("moe_position") == "none" else 2
    assert len(model.mixtures) == expected


def test_vectors_of_targets_are_those_of_their_windows(shop: InteractionDataset) -> None:
    """The state before a target reads the last events before it, or with export_window=first the first ones."""
    model = build_model(configured(shop), shop)
    items = [[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19], [9, 8, 7]]
    batch = make_batch(items, [2, 1])
    batch["timestamp"] = tf.cast(tf.reshape(tf.range(30), [2, 15]), tf.int64) * 3_600_000
    batch["behavior_type"] = tf.cast(tf.reshape(tf.range(30), [2, 15]) % 4 + 2, tf.int64)

    def by_hand(row: int, first: int, end: int) -> np.ndarray:
        names = ("item", "timestamp", "behavior_type")
        cut = {name: batch[name][row : row + 1, first:end] for name in names}
        return model.encode_window("long", {**cut, "length": tf.constant([end - first])})[0][0].numpy()

    found = model.encode_targets(batch)
    for state, window in zip(found, [(0, 1, 13), (0, 2, 14), (1, 0, 2)], strict=True):
        np.testing.assert_allclose(state, by_hand(*window), atol=1e-5)
    model.config.export_window = "first"
    for state, window in zip(model.encode_targets(batch), [(0, 0, 12), (0, 0, 12), (1, 0, 2)], strict=True):
        np.testing.assert_allclose(state, by_hand(*window), atol=1e-5)
    model.config.export_window = "last"
    table, bias = model.item_table()
    rows, _ = model.lookup_items(tf.constant([[3, 9], [4, 2]]))
    np.testing.assert_allclose(rows, tf.gather(table, [[3, 9], [4, 2]]), atol=1e-5)
    assert not bias.numpy().any()
    scores = model.score_targets(batch)
    np.testing.assert_allclose(scores, found.numpy() @ table.numpy().T, atol=1e-5)
    model.keep_items(2.0 * table, bias)
    np.testing.assert_allclose(model.score_targets(batch), 2.0 * scores, atol=1e-5)


def test_one_user_to_validate_and_one_to_measure(tmp_path: Path) -> None:
    """Nobody to tell him from: all epochs are run, the weights are kept, and what is left out is said."""
    lonely = behavior_shop(tmp_path, split="random_user", valid_fraction=0.04, test_fraction=0.04, seed=4)
    assert [lonely.num_sequences(split) for split in ("valid", "test")] == [1, 1]
    said = io.StringIO()
    config = configured(lonely, training__patience=1, training__epochs=2)
    metrics = run_experiment(config, tmp_path / "run", Console(file=said, width=200), report=False)
    assert metrics["train"]["epochs"] == 2
    assert "best_epoch" not in metrics["train"]
    assert "user_recall@10" not in metrics["test"]
    assert isinstance(load_run(tmp_path / "run").model, LongTermInterest)
    assert "all 2 epochs are run as with `training.patience=0`" in said.getvalue()
    assert "`test` has fewer than two users" in said.getvalue()


def test_vectors_of_new_users(trained: tuple[Path, dict[str, Any]], shop: InteractionDataset, tmp_path: Path) -> None:
    """A later log has other users, a new item and indices of its own: its vectors are those of its raw ids."""
    dataset = InteractionDataset.open(shop.path)
    log = BehaviorLog(BehaviorLogConfig(**{**LOG, "num_users": 30, "seed": 5}))  # another world, with ids of the first
    events = log.events()
    fresh = np.concatenate([[10**12], events["item_id"].to_numpy()[1:]])
    events = events.set_column(1, "item_id", pa.array(fresh))
    events = events.set_column(0, "user_id", pa.chunked_array([pc.add(events["user_id"].combine_chunks(), 10**6)]))
    options: dict[str, Any] = {"split": "random_user", "valid_fraction": 0.0, "test_fraction": 0.0}
    later = behavior_shop(tmp_path / "later", events=events, items=(), **options)
    loaded = load_run(trained[0])
    with pytest.raises(SchemaMismatchError):
        loaded.open_dataset(later.path)
    opened, translation = loaded.open_histories(later.path)
    assert translation is not None
    known = set(dataset.item_vocabulary.ids.tolist())
    assert translation.unknown["item"] == len({*fresh.tolist()} - known) >= 1
    with VectorDirectoryWriter(tmp_path / "vectors", _about(loaded, opened, translation)) as writer:
        ModelVectors(loaded, opened, ["train"], translation=translation).write_users(writer, lambda done: None)
    ids = pq.read_table(tmp_path / "vectors" / "ids.parquet")["id"].to_pylist()
    found = dict(zip(ids, np.load(tmp_path / "vectors" / "vectors.npy"), strict=True))
    user = ids[3]
    own = events.filter(pc.equal(events["user_id"], user))
    raw = {name: own[name].to_pylist() for name in ("item_id", "behavior_type", "time")}
    items = dataset.item_vocabulary.lookup(raw["item_id"])
    times = np.array([text.replace(" ", "T") for text in raw["time"]], "datetime64[ms]").astype(np.int64)
    kinds = dataset.vocabulary("behavior_type").lookup(raw["behavior_type"])
    order = np.argsort(times, kind="stable")
    width = min(len(order), TINY_MODEL["long_length"])
    window = {"item": items, "timestamp": times, "behavior_type": kinds}
    window = {name: tf.constant(values[order][-width:])[tf.newaxis] for name, values in window.items()}
    expected = loaded.model.encode_window("long", {**window, "length": tf.constant([width])})[0][0]
    np.testing.assert_allclose(found[user], expected, atol=1e-5)


def _about(loaded: Any, dataset: InteractionDataset, translation: Any) -> Any:
    about = ModelVectors(loaded, dataset, ["train"], translation=translation).describe("users")
    assert about.schema_hash == loaded.open_dataset().schema.hash
    return about


def test_other_users_alone_are_no_other_schema(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """The same log under other names of users fits the model, and can be measured."""
    log = BehaviorLog(BehaviorLogConfig(**LOG))
    events = log.events()
    renamed = events.set_column(0, "user_id", pc.add(events["user_id"], 10**6))
    options: dict[str, Any] = {"split": "random_user", "valid_fraction": 0.2, "test_fraction": 0.2}
    twin = behavior_shop(
        tmp_path, BehaviorLogConfig(**LOG), renamed, vocabulary=load_run(trained[0]).dataset_path, **options
    )
    loaded = load_run(trained[0])
    assert twin.vocabulary("user").content_hash != loaded.open_dataset().vocabulary("user").content_hash
    opened = loaded.open_dataset(twin.path)
    assert opened.vocabulary("item").content_hash == loaded.open_dataset().vocabulary("item").content_hash
