"""Registration of models."""

from __future__ import annotations

import subprocess
import sys

import keras
import pytest

from tfrec.errors import ConfigError
from tfrec.registry import model_class, model_names, register_model


def test_models_are_found_and_known_to_keras() -> None:
    assert {"gru4rec", "popularity", "session_popularity", "markov", "item_knn"} <= set(model_names())
    for name in model_names():
        cls = model_class(name)
        assert cls.registered_name == name
        assert keras.saving.get_registered_object(f"tfrec>{name}") is cls


def test_unknown_model_names_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"gru4rek.*Did you mean `gru4rec`\?"):
        model_class("gru4rek")


def test_a_name_cannot_be_taken_twice_and_a_configuration_class_is_needed() -> None:
    with pytest.raises(ConfigError, match="twice"):
        register_model("gru4rec")(type("Other", (), {"config_class": object}))
    with pytest.raises(ConfigError, match="config_class"):
        register_model("new")(type("Other", (), {}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import tensorflow, tfrec", "TensorFlow was imported before"),
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


@pytest.mark.slow
def test_keras_stays_version_3_while_tf_keras_is_version_2() -> None:
    program = (
        "import tfrec, keras, tensorflow as tf, tensorflow_recommenders as tfrs;"
        "print(keras.__version__[0], tf.keras.layers.Layer.__module__.split('.')[0], tfrs.tasks.Retrieval.__name__)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["3", "tf_keras", "Retrieval"]
