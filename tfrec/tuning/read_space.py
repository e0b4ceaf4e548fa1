"""Reads a search space and checks every key and value against the configuration of the model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from tfrec.config.load import configs_directory, read_yaml, run_config_class
from tfrec.config.strict_model import canonical_keys, nested_section
from tfrec.errors import ConfigError, did_you_mean
from tfrec.registry import model_class
from tfrec.tuning.parameter import Parameter, ParameterConfig
from tfrec.tuning.search_space import SearchSpace

_PARTS = ("model", "fixed", "space")
_NOT_SEARCHED = {
    "data": "the data",
    "evaluation": "how models are measured",
    "seed": "luck",
    "training.monitor": "the objective",
    "training.patience": "how long a model may stagnate",
}


def space_path(model: str) -> Path | None:
    """Returns the built-in space of a model, `configs/tuning/<model>.yaml`, or None when it has none."""
    folder = configs_directory()
    path = folder / "tuning" / f"{model}.yaml" if folder else None
    return path if path is not None and path.is_file() else None


def read_space(model: str, file: str | os.PathLike[str] | None = None) -> SearchSpace:
    """Reads a space.

    Args:
        model: Registered model.
        file: YAML file with `space` (searched settings by dotted key), `fixed` (settings of every trial) and `model`.
            Default: the built-in space of the model.

    Raises:
        ConfigError: There is no space, a key is unknown (the closest known one is named), or a value is outside the
            domain of its setting.
    """
    model_class(model)  # names the known models when there is no such one
    path = Path(file) if file is not None else space_path(model)
    if path is None:
        raise ConfigError(
            f"There is no search space for `{model}`.", remedy="Write one, see configs/tuning, and pass `--space FILE`."
        )
    return parse_space(model, read_yaml(path), source=f"`{path}`")


def parse_space(model: str, document: Mapping[str, Any], *, source: str) -> SearchSpace:
    """Builds a space from the content of its file; arguments and errors are those of `read_space`."""
    for part in document:
        if part not in _PARTS:
            raise ConfigError(f"Unknown key `{part}` in {source}.", remedy=did_you_mean(str(part), _PARTS))
    if document.get("model", model) != model:
        raise ConfigError(
            f"{source} is for the model `{document['model']}`, not `{model}`.", remedy="Pass another one."
        )
    for part in ("fixed", "space"):
        if not isinstance(document.get(part) or {}, dict):
            raise ConfigError(f"`{part}` in {source} is not a mapping from dotted keys.", remedy="See configs/tuning.")
    if not document.get("space"):
        raise ConfigError(f"There is no `space` in {source}.", remedy="List the settings to search under `space:`.")
    cls = model_class(model)
    section = run_config_class(model, cls.config_class, training_scheme=cls.training_scheme)
    fixed: dict[str, Any] = {}
    for key, value in (document.get("fixed") or {}).items():
        fixed[canonical_key(section, str(key), source)] = value
        _check_value(section, canonical_key(section, str(key), source), value, source)
    parameters: dict[str, Parameter] = {}
    for key, content in document["space"].items():
        parameter = _parameter(section, str(key), content, source)
        if parameter.key in parameters or parameter.key in fixed:
            raise ConfigError(f"`{parameter.key}` is given twice in {source}.", remedy="Keep one.")
        parameters[parameter.key] = parameter
    return SearchSpace(model, tuple(_parents_first(parameters, source)), fixed, source)


def canonical_key(section: type[BaseModel], dotted: str, source: str) -> str:
    """Returns a dotted key by the names of the fields.

    Raises:
        ConfigError: It is unknown; the message names the closest known one.
    """
    nested: Any = None
    for name in reversed(dotted.split(".")):
        nested = {name: nested}
    names = []
    level: Any = canonical_keys(section, nested, source=source)
    while isinstance(level, dict):
        ((name, level),) = level.items()
        names.append(name)
    return ".".join(names)


def _parameter(section: type[BaseModel], key: str, content: Any, source: str) -> Parameter:
    dotted = canonical_key(section, key, source)
    for forbidden, what in _NOT_SEARCHED.items():
        if dotted == forbidden or dotted.startswith(f"{forbidden}."):
            raise ConfigError(f"`{dotted}` in {source} decides {what} and cannot be searched.", remedy="Leave it out.")
    if not isinstance(content, dict):
        raise ConfigError(f"`{dotted}` in {source} is `{content}`.", remedy="Write `{type: float, min: 0, max: 0.5}`.")
    values = canonical_keys(ParameterConfig, content, source=f"{source}, `{dotted}`")
    try:
        config = ParameterConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f", `{part}`" for part in first["loc"])
        problem = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"`{dotted}`{place} in {source}: {problem}.", remedy="See configs/tuning.") from error
    when = {
        canonical_key(section, str(other), source): tuple(allowed) if isinstance(allowed, list) else (allowed,)
        for other, allowed in config.when.items()
    }
    parameter = Parameter(dotted, config, when)
    for value in parameter.probes():
        _check_value(section, dotted, value, source)
    return parameter


def _check_value(section: type[BaseModel], dotted: str, value: Any, source: str) -> None:
    *path, name = dotted.split(".")
    owner = section
    for part in path:
        inner = nested_section(owner, part)
        if inner is None:
            raise ConfigError(f"`{dotted}` in {source}: `{part}` has no keys of its own.")
        owner = inner
    if nested_section(owner, name) is not None:
        raise ConfigError(f"`{dotted}` in {source} is a section.", remedy="Name a key of it.")
    field = owner.model_fields[name]
    parts: Any = (field.annotation, *field.metadata)
    domain: Any = Annotated[parts] if field.metadata else field.annotation
    try:
        TypeAdapter(domain).validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"]
        raise ConfigError(
            f"`{dotted}` in {source} can become `{value}`: {message[0].lower()}{message[1:]}.",
            remedy="Change its bounds or values.",
        ) from error


def _parents_first(parameters: Mapping[str, Parameter], source: str) -> list[Parameter]:
    for parameter in parameters.values():
        for key, values in parameter.when.items():
            where = f"`when` of `{parameter.key}` in {source}"
            if key not in parameters:
                raise ConfigError(
                    f"{where} names `{key}`, which is not searched.", remedy=did_you_mean(key, parameters)
                )
            if parameters[key].grid is None:
                raise ConfigError(f"{where} names `{key}`, which is a range.", remedy="Give that one a `step`.")
            if len(parameters[key].codes(values)) != len(values):
                raise ConfigError(
                    f"{where} says `{', '.join(map(str, values))}`, but `{key}` has the values "
                    f"{', '.join(map(str, parameters[key].grid or ()))}.",
                    remedy="Name values that it has.",
                )
    ordered: dict[str, Parameter] = {}
    while len(ordered) < len(parameters):
        ready = [p for p in parameters.values() if p.key not in ordered and p.when.keys() <= ordered.keys()]
        if not ready:
            left = ", ".join(f"`{key}`" for key in parameters if key not in ordered)
            raise ConfigError(f"{left} in {source} depend on each other in a circle.", remedy="Remove a `when`.")
        ordered.update({parameter.key: parameter for parameter in ready})
    return list(ordered.values())
