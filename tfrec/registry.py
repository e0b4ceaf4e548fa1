"""One registration per model: command-line name, configuration class and Keras serialisation."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from tfrec.errors import ConfigError, did_you_mean

ModelClass = TypeVar("ModelClass", bound=type)

_MODELS: dict[str, type] = {}


def register_model(name: str) -> Callable[[ModelClass], ModelClass]:
    """Class decorator: makes a model known as `name` to every command and to Keras serialisation.

    Args:
        name: Command-line name, for example `gru4rec`; also the stem of its preset in `configs/`.

    Returns:
        The decorator. The class must carry `config_class`, a pydantic model (see `tfrec.config`).

    Raises:
        ConfigError: The name is taken by another class.
    """

    def register(cls: ModelClass) -> ModelClass:
        import keras

        if name in _MODELS and _MODELS[name].__qualname__ != cls.__qualname__:
            raise ConfigError(f"The model name `{name}` is registered twice: `{_MODELS[name]}` and `{cls}`.")
        if not hasattr(cls, "config_class"):
            raise ConfigError(f"The model class `{cls.__name__}` has no `config_class`.")
        cls.registered_name = name  # type: ignore[attr-defined]
        _MODELS[name] = cls
        keras.saving.register_keras_serializable(package="tfrec", name=name)(cls)
        return cls

    return register


def model_names() -> list[str]:
    """Returns the registered model names in alphabetical order."""
    _import_models()
    return sorted(_MODELS)


def model_class(name: str) -> Any:
    """Returns the model class registered as `name`.

    Raises:
        ConfigError: No such model; the message lists the known ones and the closest match.
    """
    _import_models()
    if name not in _MODELS:
        raise ConfigError(f"Unknown model `{name}`.", remedy=did_you_mean(name, _MODELS))
    return _MODELS[name]


def _import_models() -> None:
    package = importlib.import_module("tfrec.models")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
