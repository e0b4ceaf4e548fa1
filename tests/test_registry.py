"""Registration of models."""

from __future__ import annotations

import subprocess
import sys

import keras
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec.errors import ConfigError
from tfrec.registry import check_model_name, model_class, model_names, names_in_source, register_model


def test_models_are_found_and_known_to_keras() -> None:
    assert {"gru4rec", "popularity", "session_popularity", "markov", "item_knn"} <= set(model_names())
    for name in model_names():
        cls = model_class(name)
        assert cls.registered_name == name
        assert keras.saving.get_registered_object(f"tfrec>{name}") is cls


def test_unknown_model_names_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"gru4rek.*Did you mean `gru4rec`\?"):
        model_class("gru4rek")
    with pytest.raises(ConfigError, match=r"gru4rek.*Did you mean `gru4rec`\?"):
        check_model_name("gru4rek")


def test_names_are_known_without_importing_models() -> None:
    assert names_in_source() == set(model_names())
    for name in model_names():
        check_model_name(name)


def test_a_name_cannot_be_taken_twice_and_a_configuration_class_is_needed() -> None:
    with pytest.raises(ConfigError, match="twice"):
        register_model("gru4rec")(type("Other", (), {"config_class": object}))
    with pytest.raises(ConfigError, match="config_class"):
        register_model("new")(type("Other", (), {}))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.modules['tensorflow'] = sys; import tfrec", "TensorFlow was imported before"),
        ("import os; os.environ['KERAS_BACKEND'] = 'jax'; import tfrec", "runs on TensorFlow only"),
    ],
)
def test_an_unusable_environment_is_explained(program: str, message: str) -> None:
    environment = {"PATH": "/usr/bin", "HOME": "/tmp"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode != 0
    assert message in result.stderr


def test_keras_stays_version_3_while_tf_keras_is_version_2() -> None:
    """Of this process, where `tfrec` was imported first, as it has to be."""
    assert keras.__version__.split(".")[0] == "3"
    layer = tf.keras.layers.Layer  # noqa: TID251  the Keras of TFRS
    assert layer.__module__.split(".")[0] == "tf_keras"
    assert issubclass(tfrs.tasks.Retrieval, layer)
