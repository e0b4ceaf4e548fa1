"""Every registered model is exported and answers as it does offline; new ones join by registration alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.export_test import run_export_test
from tests.harness.planted_shop import ID_TYPES, VECTORS, planted_shop
from tfrec.config.user_inputs_config import UserInputsConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.registry import model_class, model_names

MODELS = [name for name in model_names() if issubclass(model_class(name), SequenceRecommender)]
READS = {"ur4rec": {"retriever": {"dim": 8, "window": 4, "item_texts": VECTORS}}}
"""What a model reads besides events where it may."""
Shop = Callable[[str], InteractionDataset]
pytestmark = pytest.mark.usefixtures("graphs_as_they_are")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shops = {id_type: planted_shop(tmp_path_factory.mktemp(id_type), id_type, profiles=True) for id_type in ID_TYPES}
    return shops.__getitem__


@pytest.mark.parametrize("name", MODELS)
def test_int64_ids_above_2_to_the_31_saved_and_loaded(name: str, shop: Shop, tmp_path: Path) -> None:
    run_export_test(name, shop("int64"), "int64", tmp_path / "saved", **READS.get(name, {}))


@pytest.mark.one_stack
@pytest.mark.parametrize("name", MODELS)
def test_string_ids(name: str, shop: Shop) -> None:
    run_export_test(name, shop("string"), "string")


INPUTS = {"item_features": True, "item_vectors": [VECTORS], "user_features": True, "feature_dim": 4}
TELLABLE = [name for name in MODELS if issubclass(model_class(name).config_class, UserInputsConfig)]


@pytest.mark.one_stack
@pytest.mark.parametrize("name", TELLABLE)
def test_all_that_is_known_of_items_and_users(name: str, shop: Shop, tmp_path: Path) -> None:
    vectors = {"user_vectors": True} if name == "hstu" else {}
    run_export_test(name, shop("int64"), "int64", tmp_path / "saved", **INPUTS, **vectors)


def test_a_model_that_is_told_the_user_saved_and_loaded(shop: Shop, tmp_path: Path) -> None:
    settings = {"user_vectors": True, "similarity": "cosine"}
    run_export_test("two_tower", shop("string"), "string", tmp_path / "saved", **settings)
