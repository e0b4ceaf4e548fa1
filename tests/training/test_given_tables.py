"""What models are told of items is stored once per run, apart from what training changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.harness.planted_shop import VECTORS, planted_shop
from tests.harness.tiny_recommender import tiny_recommender
from tests.harness.tiny_run import tiny_run
from tests.sequence_batches import make_batch
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import DataError
from tfrec.layers.given_tables import given_weights, learned_weights
from tfrec.training.checkpoints import save_checkpoint
from tfrec.training.model_store import describe_model, load_run
from tfrec.training.run_directory import RunDirectory

SETTINGS = {"item_features": True, "item_vectors": [VECTORS], "user_features": True}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> InteractionDataset:
    return planted_shop(tmp_path_factory.mktemp("shop"), "string", profiles=True)


def test_checkpoints_hold_what_is_learned_and_the_run_the_rest(shop: InteractionDataset, tmp_path: Path) -> None:
    model = tiny_run(tmp_path / "run", "sasrec", shop, **SETTINGS)
    run = RunDirectory(tmp_path / "run")
    stored = [dtype for _, dtype in _variables(run.checkpoints / "tiny")]
    assert tf.float16 not in stored  # the ready-made vectors
    assert len(stored) == len(model.trainable_weights)  # all that is not trained in this model is given
    given = _variables(run.given / "tables")
    assert ((shop.item_vocabulary.size, 5), tf.float16) in given
    assert len(given) + len(stored) == len(model.weights)
    # colour, price, whether trained, vectors of the items; whether trained and features of the users
    assert {weight.name for weight in given_weights(model)} >= {"trained", "colour_of_item", "price_of_item"}
    loaded = load_run(run.path)
    batch = make_batch([[3, 4, 5, 6]])
    np.testing.assert_array_equal(loaded.model.score_targets(batch), model.score_targets(batch))


def test_the_same_weights_over_other_tables_are_another_model(shop: InteractionDataset, tmp_path: Path) -> None:
    model = tiny_run(tmp_path / "run", "sasrec", shop, **SETTINGS)
    run = RunDirectory(tmp_path / "run")
    before = load_run(run.path).checkpoint
    assert load_run(run.path).checkpoint == before
    tables = given_weights(model)
    tables[0].assign(tf.ones_like(tables[0].value) - tables[0].value)
    save_checkpoint(run.given, "tables", weights=tables)
    assert load_run(run.path).checkpoint != before


def test_a_resumed_run_goes_on_with_the_tables_it_began_with(shop: InteractionDataset, tmp_path: Path) -> None:
    begun = tiny_run(tmp_path / "run", "sasrec", shop, **SETTINGS)
    resumed = tiny_recommender("sasrec", shop, **SETTINGS)
    for table in given_weights(resumed):  # as if the features had been written anew in between
        table.assign(tf.zeros_like(table.value))
    describe_model(resumed, RunDirectory(tmp_path / "run"))
    for table, first in zip(given_weights(resumed), given_weights(begun), strict=True):
        np.testing.assert_array_equal(table, first, err_msg=table.path)
    assert np.asarray(given_weights(resumed)[0]).any()


def test_a_run_whose_tables_are_gone_is_refused(shop: InteractionDataset, tmp_path: Path) -> None:
    tiny_run(tmp_path / "run", "sasrec", shop, **SETTINGS)
    shutil.rmtree(tmp_path / "run" / "given")
    with pytest.raises(DataError, match="lacks the tables"):
        load_run(tmp_path / "run")


def test_a_model_of_ids_has_no_tables(shop: InteractionDataset, tmp_path: Path) -> None:
    model = tiny_run(tmp_path / "run", "sasrec", shop)
    assert learned_weights(model) == model.weights
    assert not (tmp_path / "run" / "given").exists()


def _variables(checkpoint: Path) -> list[tuple[tuple[int, ...], tf.DType]]:
    """Shape and type of the weights that a checkpoint holds."""
    reader = tf.train.load_checkpoint(str(checkpoint / "state"))
    types = reader.get_variable_to_dtype_map()
    return [
        (tuple(shape), types[name])
        for name, shape in reader.get_variable_to_shape_map().items()
        if name.startswith("weights/")
    ]
