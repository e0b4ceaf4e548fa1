"""The two-tower model: causal, restorable, sparse, and able to rank items that nobody has seen yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.sequence_batches import make_batch
from tfrec.config.retrieval_config import RetrievalConfig
from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.config.two_tower_config import TwoTowerConfig
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.layers.item_tower import FeatureShape
from tfrec.losses.sequence_objective import SequenceObjective
from tfrec.models.two_tower import TwoTower
from tfrec.optimizers.row_sparse_adam import RowSparseAdam
from tfrec.tasks.retrieval_objective import RetrievalObjective

VOCAB = 15
VARIANTS: list[dict[str, Any]] = [
    {},
    {"decays": [0.7], "hidden": []},
    {"similarity": "cosine"},
    {"user_vectors": True},
]


def new_model(**settings: Any) -> TwoTower:
    config = TwoTowerConfig(**{"dim": 8, "max_length": 6, "hidden": [12], "init_stddev": 0.5, **settings})
    model = TwoTower(config, VOCAB, seed=3, num_users=6 if config.user_vectors else 0)
    model.items.set_items(np.array([0, 0] + [5] * 13), {})
    return model


def with_users(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {**batch, "user": tf.range(2, 2 + batch["item"].shape[0])}


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_state_sees_its_past_only_and_padding_changes_nothing(variant: dict[str, Any]) -> None:
    model = new_model(**variant)
    states = model.encode(with_users(make_batch([[2, 3, 4, 5, 6]]))).numpy()[0]
    changed = model.encode(with_users(make_batch([[2, 3, 4, 9, 10]]))).numpy()[0]
    np.testing.assert_allclose(states[:3], changed[:3], atol=1e-6)
    assert np.abs(states[3:] - changed[3:]).max(axis=1).min() > 1e-3
    padded = model.encode(with_users(make_batch([[2, 3, 4], [7, 8, 9, 10, 11]], width=6))).numpy()
    np.testing.assert_allclose(padded[0, :3], states[:3], atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_scores_are_products_of_windows_and_item_vectors(variant: dict[str, Any]) -> None:
    """A target is scored from the last six events before it, as it would be when served alone."""
    model = new_model(**variant)
    batch = with_users(make_batch([[2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [4, 12, 13]], [3, 1]))
    scores = model.score_targets(batch).numpy()
    vectors = model.item_table()[0].numpy()
    windows = [([3, 4, 5, 6, 7, 8], 2), ([4, 5, 6, 7, 8, 9], 2), ([5, 6, 7, 8, 9, 10], 2), ([4, 12], 3)]
    for row, (window, user) in zip(scores, windows, strict=True):
        state = model.encode({**make_batch([window]), "user": tf.constant([user])}).numpy()[0, -1]
        np.testing.assert_allclose(row, vectors @ state, atol=1e-5)
        if variant.get("similarity") == "cosine":
            assert np.linalg.norm(state) == pytest.approx(1.0, abs=1e-5)
    if variant.get("similarity") == "cosine":
        np.testing.assert_allclose(np.linalg.norm(vectors[2:], axis=1), np.ones(VOCAB - 2), atol=1e-5)


def test_users_matter_only_where_they_are_known() -> None:
    model = new_model(user_vectors=True)
    batch = make_batch([[2, 3, 4]])
    nobody = model.encode(batch).numpy()
    unknown = model.encode({**batch, "user": tf.constant([1])}).numpy()
    known = model.encode({**batch, "user": tf.constant([3])}).numpy()
    np.testing.assert_allclose(unknown, nobody, atol=1e-7)
    expected = nobody[0] + model.users.vectors.numpy()[3]
    np.testing.assert_allclose(known[0], expected, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_model_made_of_its_configuration_and_weights_scores_the_same(variant: dict[str, Any]) -> None:
    model = new_model(**variant)
    again = TwoTower.from_config(model.get_config())
    again.set_weights(model.get_weights())
    batch = with_users(make_batch([[2, 3, 4, 5]]))
    np.testing.assert_array_equal(again.score_targets(batch), model.score_targets(batch))


def test_every_layer_is_built() -> None:
    """Keras builds models of unbuilt layers on placeholders of its own under a distribution strategy, and fails."""
    assert all(layer.built for layer in new_model(user_vectors=True)._flatten_layers())


def fit(model: TwoTower, objective: Any, sequences: list[list[int]], epochs: int, rate: float = 0.01) -> None:
    model.prepare_training(objective)
    optimizer = RowSparseAdam(rate)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    batches = tf.data.Dataset.from_tensor_slices(with_users(make_batch(sequences))).batch(64)
    model.fit(batches, epochs=epochs, verbose=0, shuffle=False)


def ring(seed: int, count: int, length: int = 6) -> list[list[int]]:
    """Items 2..14 in a ring: each is followed by the next."""
    starts = np.random.default_rng(seed).integers(0, 13, size=count)
    return [[2 + (start + step) % 13 for step in range(length)] for start in starts.tolist()]


@pytest.mark.parametrize(("objective", "similarity"), [("tfrs", "dot"), ("softmax", "cosine")])
def test_it_learns_a_ring_by_any_objective(objective: str, similarity: str) -> None:
    model = new_model(similarity=similarity, dropout=0.0, decays=[0.0, 1.0])
    temperature = 0.1 if similarity == "cosine" else 1.0
    counts = np.array([0, 0] + [10] * 13)
    made: Any = RetrievalObjective(RetrievalConfig(temperature=temperature, exclude_history=False), counts)
    if objective == "softmax":
        made = SequenceObjective(SequenceObjectiveConfig(similarity=similarity, temperature=temperature), counts)
    test = make_batch(ring(9, 100), [1] * 100)
    before = evaluate_ranking(model, [test], cutoffs=[1]).metrics["hit@1"]
    fit(model, made, ring(3, 640), epochs=10)
    after = evaluate_ranking(model, [test], cutoffs=[1]).metrics["hit@1"]
    assert before < 0.4
    assert after > 0.95


def test_a_step_leaves_items_alone_that_are_not_in_the_batch() -> None:
    model = new_model()
    before = model.items.ids.vectors.numpy()
    objective = RetrievalObjective(RetrievalConfig(), np.array([0, 0] + [5] * 13))
    fit(model, objective, [[2, 3, 4], [5, 6, 7]], epochs=1)
    changed = np.abs(model.items.ids.vectors.numpy() - before).max(axis=1) > 0
    assert np.flatnonzero(changed).tolist() == [2, 3, 4, 5, 6, 7]


# ---- cold items -----------------------------------------------------------------------------------------------------

PER_GENRE = 20  # items 2..21 are of genre 2, items 22..41 of genre 3; 42 and 43 are cold, one of each
COLD_VOCAB = 2 + 2 * PER_GENRE + 2
GENRE = np.array([0, 0] + [2] * PER_GENRE + [3] * PER_GENRE + [2, 3], np.int32)
COLD_COUNTS = np.array([0, 0] + [60] * (2 * PER_GENRE) + [0, 0])
SHAPES = {"genre": FeatureShape(kind="category", values=4, width=1)}


def fans(seed: int, count: int) -> list[list[int]]:
    """Users who watch items of one genre, in random order; every second one is a fan of the other genre."""
    random = np.random.default_rng(seed)
    return [(random.permutation(PER_GENRE)[:8] + 2 + PER_GENRE * (user % 2)).tolist() for user in range(count)]


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_a_cold_item_ranks_with_its_kind(similarity: str) -> None:
    config = TwoTowerConfig(
        dim=16, max_length=8, feature_dim=4, feature_hidden=[], id_dropout=0.3, similarity=similarity
    )
    model = TwoTower(config, COLD_VOCAB, seed=1, features=SHAPES)
    model.items.set_items(COLD_COUNTS, {"genre": GENRE})
    settings = RetrievalConfig(temperature=0.1 if similarity == "cosine" else 1.0)
    fit(model, RetrievalObjective(settings, COLD_COUNTS), fans(0, 320), epochs=10)
    scores = model.score_targets(make_batch(fans(1, 100), [1] * 100)).numpy()  # [users, items]
    for genre, cold, other in ((0, 42, 43), (1, 43, 42)):
        of_fans = scores[genre::2]
        kind = of_fans[:, 2 + PER_GENRE * genre : 2 + PER_GENRE * (genre + 1)]
        rest = of_fans[:, 2 + PER_GENRE * (1 - genre) : 2 + PER_GENRE * (2 - genre)]
        assert (of_fans[:, cold] > rest.max(axis=1)).mean() > 0.95  # above every item of the other genre
        assert (of_fans[:, other] < kind.min(axis=1)).mean() > 0.95
        # Among its own kind it is one of them, neither first nor last as a rule.
        place = (kind > of_fans[:, [cold]]).mean()
        assert 0.02 < place < 0.98


def test_without_features_a_cold_item_has_no_vector() -> None:
    model = TwoTower(TwoTowerConfig(dim=8), COLD_VOCAB, seed=1)
    model.items.set_items(COLD_COUNTS, {})
    np.testing.assert_array_equal(model.item_table()[0].numpy()[42:], 0.0)


# ---- from a data set ------------------------------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path: Path) -> InteractionDataset:
    """Two users, three warm items and one that is only in the item file."""
    events = [(1, 10), (1, 11), (1, 12), (1, 11), (2, 10), (2, 12), (2, 10), (2, 11)]
    user, item = zip(*events, strict=True)
    log = pa.table({"user_id": user, "item_id": item, "timestamp": list(range(8))})
    items = {
        "item_id": [10, 11, 12, 99],
        "genres": [["x", "y"], ["y"], [], ["x"]],
        "brand": ["a", "b", "b", "a"],
        "price": [1.0, 2.0, 6.0, 2.0],
    }
    pq.write_table(pa.table(items), tmp_path / "items.parquet")
    options = ConversionOptions(
        output=str(tmp_path / "DS"),
        split="leave_one_out",
        user_col="user_id",
        time_unit="s",
        items=(str(tmp_path / "items.parquet"),),
        item_features=("genres", "brand", "price"),
        cold_items="keep",
    )
    convert(options, table=log)
    return InteractionDataset.open(tmp_path / "DS")


def test_features_and_users_come_from_the_data_set(dataset: InteractionDataset) -> None:
    model = TwoTower.for_dataset(TwoTowerConfig(dim=4, user_vectors=True), dataset, seed=1)
    assert model.vocab_size == 6
    assert model.num_users == 4
    assert {name: shape["kind"] for name, shape in model.items.features.items()} == {
        "brand": "category",
        "genres": "list",
        "price": "number",
    }
    features = dataset.item_features()
    for name, values in features.as_tensors().items():
        np.testing.assert_array_equal(model.items.tables[name].numpy(), values)
    cold = int(dataset.item_vocabulary.lookup([99])[0])
    assert model.items.trained.numpy().tolist() == [0, 0, 1, 1, 1, 0]
    assert cold == 5
    assert np.abs(model.item_table()[0].numpy()[cold]).max() > 0
    again = TwoTower.from_config(
        keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model.get_config()))
    )
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.item_table()[0], model.item_table()[0])


def test_features_can_be_left_aside(dataset: InteractionDataset) -> None:
    model = TwoTower.for_dataset(TwoTowerConfig(dim=4, item_features=False), dataset, seed=1)
    assert model.items.features == {}
    assert model.num_users == 0
    np.testing.assert_array_equal(model.item_table()[0].numpy()[5], 0.0)
