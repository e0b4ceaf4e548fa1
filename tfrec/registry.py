"""One registration per model: command-line name, configuration class and Keras serialisation."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from tfrec.errors import ConfigError, did_you_mean

ModelClass = TypeVar("ModelClass", bound=type)

_MODELS: dict[str, type] = {}
_REGISTRATION = re.compile(r'^@register_model\("(\w+)"\)$', re.MULTILINE)


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
    _check(name, _MODELS)
    return _MODELS[name]


def check_model_name(name: str) -> None:
    """Checks a name by the text of the modules of `tfrec.models`: imports none of them, and no TensorFlow.

    Raises:
        ConfigError: No such model; the message lists the known ones and the closest match.
    """
    written = names_in_source()
    if written:  # without sources, `model_class` finds out
        _check(name, written | _MODELS.keys())


def names_in_source() -> set[str]:
    """Returns the names that the modules of `tfrec.models` register."""
    folders = importlib.import_module("tfrec.models").__path__
    files = [file for folder in folders for file in Path(folder).glob("*.py")]
    return {name for file in files for name in _REGISTRATION.findall(file.read_text(encoding="utf-8"))}


def _check(name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ConfigError(f"Unknown model `{name}`.", remedy=did_you_mean(name, known))


def _import_models() -> None:
    package = importlib.import_module("tfrec.models")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
