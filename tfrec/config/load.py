"""Defaults < preset < file < overrides: the effective configuration of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError, create_model

from tfrec.config.run_config import RUN_CONFIGS, RunConfig
from tfrec.config.strict_model import canonical_keys
from tfrec.errors import ConfigError, did_you_mean

Overlay = tuple[str, Mapping[str, Any]]
"""Where values come from (for error messages), and the values."""

_Section = TypeVar("_Section", bound=BaseModel)


def load_run_config(
    name: str,
    config_class: type[BaseModel],
    *,
    training_scheme: str,
    file: str | os.PathLike[str] | None = None,
    overlays: Sequence[Overlay] = (),
    assignments: Iterable[str] = (),
) -> RunConfig:
    """Builds the effective configuration.

    Args:
        name: Model name; its preset `configs/<name>.yaml` is read when there is one.
        config_class: Configuration class of the model's architecture.
        training_scheme: How the model is trained, a key of `RUN_CONFIGS`; decides which sections exist.
        file: YAML file that overrides the preset.
        overlays: Nested mappings that override the file, in this order.
        assignments: `a.b=value` texts that override everything; values are YAML.

    Returns:
        The validated configuration; `.model` is a `config_class` with an additional field `name`.

    Raises:
        ConfigError: An unknown key (the closest known one is named), a value outside its domain, unreadable YAML.
    """
    section = run_config_class(name, config_class, training_scheme=training_scheme)
    sources: list[Overlay] = []
    if (preset := preset_path(name)) is not None:
        sources.append((f"preset `{preset}`", read_yaml(preset)))
    if file is not None:
        sources.append((f"`{file}`", read_yaml(file)))
    sources.extend(overlays)
    sources.extend(("`--set`", parse_assignment(text)) for text in assignments)
    merged: dict[str, Any] = {"model": {"name": name}}
    for source, values in sources:
        canonical = canonical_keys(section, values, source=source)
        given = (canonical.get("model") or {}).get("name", name)
        if given != name:
            raise ConfigError(
                f"{source} is for the model `{given}`, not `{name}`.",
                remedy=f"Pass `--model {given}`, or another configuration.",
            )
        _merge(merged, canonical)
    return _validate(section, merged, [source for source, _ in sources])


def load_section(
    section: type[_Section], assignments: Iterable[str], *, flag: str = "--set", base: Overlay | None = None
) -> _Section:
    """Builds settings that stand outside the configuration of a run.

    Args:
        section: Their class.
        assignments: `a.b=value` texts that override `base`; values are YAML.
        flag: Where the assignments come from, for error messages.
        base: Settings to begin with. Default: none but the defaults of the class.

    Raises:
        ConfigError: An unknown key (the closest known one is named), or a value outside its domain.
    """
    sources: list[Overlay] = [] if base is None else [base]
    sources += [(f"`{flag}`", parse_assignment(text, flag=flag)) for text in assignments]
    merged: dict[str, Any] = {}
    for source, values in sources:
        _merge(merged, canonical_keys(section, values, source=source))
    return _validate(section, merged, [source for source, _ in sources], flag=flag)


def run_config_class(name: str, config_class: type[BaseModel], *, training_scheme: str) -> type[RunConfig]:
    """Returns the configuration class of runs of one model."""
    base = RUN_CONFIGS[training_scheme]
    name_field: Any = (Literal[name], name)
    model_section = create_model(
        config_class.__name__, __base__=config_class, __doc__=config_class.__doc__, name=name_field
    )
    return create_model("RunConfig", __base__=base, model=(model_section, ...), __doc__=base.__doc__)


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a YAML mapping.

    Raises:
        ConfigError: The file is missing, is not YAML, or does not hold a mapping.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"The configuration file `{path}` does not exist.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The configuration file `{path}` cannot be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"The configuration file `{path}` holds a {type(content).__name__}, not keys and values.")
    return content


def parse_assignment(text: str, *, flag: str = "--set") -> dict[str, Any]:
    """Turns `a.b=value` into `{"a": {"b": value}}`; the value is YAML.

    Raises:
        ConfigError: There is no `=`, or the value is not YAML.
    """
    path, separator, value = text.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys):
        raise ConfigError(f"`{flag} {text}` is not an assignment.", remedy=f"Write `{flag} section.key=value`.")
    try:
        nested: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"The value of `{flag} {text}` is not YAML.") from error
    for key in reversed(keys):
        nested = {key: nested}
    return dict(nested)


def dump_yaml(config: RunConfig) -> str:
    """Returns the configuration as YAML that `load_run_config` reads back to an equal one."""
    values = config.model_dump(mode="json")
    model = values.pop("model")
    ordered = {"model": {"name": model.pop("name"), **model}, **values}
    return yaml.safe_dump(ordered, sort_keys=False)


def configs_directory() -> Path | None:
    """Returns the directory of presets: `TFREC_CONFIGS`, else `configs/` beside the package; None when absent."""
    override = os.environ.get("TFREC_CONFIGS")
    folder = Path(override) if override else Path(__file__).resolve().parents[2] / "configs"
    return folder if folder.is_dir() else None


def preset_path(name: str) -> Path | None:
    """Returns the preset of a model, or None when it has none."""
    folder = configs_directory()
    path = folder / f"{name}.yaml" if folder else None
    return path if path is not None and path.is_file() else None


def model_name_of(file: str | os.PathLike[str]) -> str | None:
    """Returns `model.name` of a configuration file, or None when it does not say."""
    model = read_yaml(file).get("model")
    return model.get("name") if isinstance(model, dict) else None


def _merge(target: dict[str, Any], update: Mapping[str, Any]) -> None:
    for key, value in update.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def _validate(
    section: type[_Section], values: Mapping[str, Any], sources: Sequence[str], *, flag: str = "--set"
) -> _Section:
    try:
        return section.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        each_once = reversed(dict.fromkeys(reversed(sources)))  # at the last of its places
        remedy = f"Sources, last wins: {', '.join(each_once) or 'defaults'}."
        if first["type"] == "literal_error" and isinstance(first["input"], str):
            expected = first.get("ctx", {}).get("expected", "").replace(" or ", ", ").replace("'", "")
            remedy = did_you_mean(first["input"], filter(None, (part.strip() for part in expected.split(","))))
        message = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        if not key:  # a rule between sections
            message = message.removeprefix("value error, ")
            raise ConfigError(f"The configuration contradicts itself: {message}.", remedy=remedy) from error
        shown = key if flag == "--set" else f"{flag} {key}"
        if isinstance(first["input"], Mapping) and first["type"] == "value_error":  # a rule between keys of a section
            message = message.removeprefix("value error, ")
            raise ConfigError(f"The section `{shown}` contradicts itself: {message}.", remedy=remedy) from error
        raise ConfigError(
            f"Configuration key `{shown}` has the value `{first['input']}`: {message}.", remedy=remedy
        ) from error
