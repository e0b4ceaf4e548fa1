"""Models that are told more of an event than its item: offline, in a SavedModel, in a client, and as published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from tests.harness.behavior_shop import TINY_MODEL, behavior_shop
from tests.harness.tiny_run import tiny_run
from tfrec.data.dataset import InteractionDataset
from tfrec.data.event_history import user_history
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import ConfigError
from tfrec.models.long_term_interest import LongTermInterest
from tfrec.serving.client.model_metadata import ModelMetadata, Signature, TensorDeclaration
from tfrec.serving.client.requests import History
from tfrec.serving.export_run import ExportOptions, export_run
from tfrec.serving.replay import GOLDEN_FILE, replay
from tfrec.stores.model_vectors import ModelVectors, user_splits
from tfrec.stores.vector_directory import VectorDirectory, VectorDirectoryWriter
from tfrec.training.model_store import load_run

pytestmark = pytest.mark.usefixtures("graphs_as_they_are")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return behavior_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def run(shop: InteractionDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LongTermInterest]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    model = tiny_run(folder, "long_term_interest", shop, **TINY_MODEL)
    assert isinstance(model, LongTermInterest)
    return folder, model


def latest_events(shop: InteractionDataset) -> dict[str, np.ndarray]:
    """All events of all users, in the order of the test split; users have no event after it."""
    return next(iter(sequence_dataset(shop, "test", 1000).as_numpy_iterator()))


def by_hand(model: LongTermInterest, events: dict[str, np.ndarray], row: int) -> np.ndarray:
    """The vector of a user's latest events, cut out here."""
    end = int(events["length"][row])
    first = max(0, end - 12)
    cut = {name: tf.constant(events[name][row : row + 1, first:end]) for name in ("item", "timestamp", "behavior_type")}
    return model.encode_window("long", {**cut, "length": tf.constant([end - first])})[0][0].numpy()


def test_the_export_answers_as_the_model(
    shop: InteractionDataset, run: tuple[Path, LongTermInterest], tmp_path: Path
) -> None:
    folder, model = run
    assert model.request_features == ("timestamp", "behavior_type")
    options = ExportOptions(run=folder, assignments=["k=5"], verify=False)
    version = Path(export_run(tmp_path / "models", options, Console(quiet=True))["path"])
    signatures = tf.saved_model.load(str(version)).signatures
    golden = json.loads((version / GOLDEN_FILE).read_text(encoding="utf-8"))
    assert replay(signatures, golden) == []
    events = latest_events(shop)
    row, length = 3, int(events["length"][3])
    history = shop.item_vocabulary.raw(events["item"][row, :length])
    values = shop.vocabulary("behavior_type").raw(events["behavior_type"][row, :length])

    def vector(kinds: list[int]) -> np.ndarray:
        return signatures["encode_user"](
            history=tf.constant([history], tf.int64),
            history_length=tf.constant([length]),
            timestamp=tf.constant(events["timestamp"][row : row + 1, :length]),
            behavior_type=tf.constant([kinds], tf.int64),
        )["vector"][0].numpy()

    np.testing.assert_allclose(vector(values), by_hand(model, events, row), atol=1e-5)
    untold = {**events, "behavior_type": np.zeros_like(events["behavior_type"])}
    np.testing.assert_allclose(vector([-(2**63)] * length), by_hand(model, untold, row), atol=1e-5)
    assert np.abs(vector([4] * length) - vector(values)).max() > 1e-3


def test_published_vectors_are_those_of_the_latest_events(
    shop: InteractionDataset, run: tuple[Path, LongTermInterest], tmp_path: Path
) -> None:
    """One for every user, under his original id, of length 1."""
    folder, model = run
    vectors = ModelVectors(load_run(folder), shop, user_splits(shop, "latest"))
    about = vectors.describe("users")
    with VectorDirectoryWriter(tmp_path / "users", about) as writer:
        vectors.write_users(writer, lambda done: None)
    published = VectorDirectory(tmp_path / "users")
    ids = published.ids(0, about.count).to_pylist()
    found = published.vectors(0, about.count)
    events = latest_events(shop)
    assert sorted(ids) == sorted(events["user_id"].tolist())
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    for row in (0, 5, 17):
        place = ids.index(int(events["user_id"][row]))
        np.testing.assert_allclose(found[place], by_hand(model, events, row), atol=1e-5)


def test_the_history_of_a_user_has_them(shop: InteractionDataset) -> None:
    events = latest_events(shop)
    history = user_history(shop, str(events["user_id"][2]))
    length = int(events["length"][2])
    assert history.features["behavior_type"].tolist() == events["behavior_type"][2, :length].tolist()


def test_a_client_sends_them(shop: InteractionDataset) -> None:
    inputs = {name: TensorDeclaration("int64", (None, None)) for name in ("history", "behavior_type")}
    signature = Signature("encode_user", {**inputs, "history_length": TensorDeclaration("int32", (None,))}, {})
    metadata = ModelMetadata("shop", 1, {"encode_user": signature})
    told = History([[5, 6], [7]], event_features={"behavior_type": [[1, 4], [3]]}).inputs(metadata, signature)
    assert told["behavior_type"][0].tolist() == [1, 4]
    assert told["behavior_type"][1, 0] == 3
    untold = History([[5, 6], [7]]).inputs(metadata, signature)
    assert (untold["behavior_type"] == -(2**63)).all()
    with pytest.raises(ConfigError, match="1 values of `behavior_type`"):
        History([[5, 6]], event_features={"behavior_type": [[1]]}).inputs(metadata, signature)
