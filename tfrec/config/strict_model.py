"""Base of every configuration section: unknown keys are errors, aliases are resolved before anything is merged."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from tfrec.errors import ConfigError, did_you_mean


class StrictModel(BaseModel):
    """Pydantic model that forbids unknown keys and accepts fields by name or documented alias."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, validate_assignment=True)


def aliased(default: Any, alias: str, description: str, **constraints: Any) -> Any:
    """Returns a field that may also be given under the name used in the paper.

    Args:
        default: Default value.
        alias: The paper's name.
        description: Shown in the reference of configuration keys.
        **constraints: Pydantic constraints such as `ge=0`.
    """
    return Field(
        default=default,
        validation_alias=AliasChoices(alias),
        description=f"{description} (alias: `{alias}`)",
        **constraints,
    )


def canonical_keys(
    section: type[BaseModel],
    values: Mapping[str, Any],
    *,
    source: str,
    path: str = "",
    whole: type[BaseModel] | None = None,
) -> dict[str, Any]:
    """Replaces aliases by field names, recursively, and rejects unknown keys.

    Args:
        section: The configuration class that `values` belongs to.
        values: Nested mapping as read from YAML.
        source: Where the values come from, for the error message.
        path: Dotted path of `section` within the whole configuration.
        whole: Class of the whole configuration, where unknown keys are looked for. Default: `section`.

    Returns:
        The same values under their field names.

    Raises:
        ConfigError: A key is unknown (the message names the sections that have it, or the closest known one), given
            twice, or not a mapping.
    """
    whole = whole or section
    names: dict[str, str] = {}
    for field_name, field in section.model_fields.items():
        names[field_name] = field_name
        for alias in _aliases(field.validation_alias):
            names[alias] = field_name
    canonical: dict[str, Any] = {}
    for key, value in values.items():
        dotted = f"{path}{key}"
        if key not in names:
            elsewhere = " or ".join(sections_with(whole, str(key)))
            remedy = f"Did you mean {elsewhere}?" if elsewhere else did_you_mean(str(key), names)
            raise ConfigError(f"Unknown configuration key `{dotted}` in {source}.", remedy=remedy)
        field_name = names[key]
        if field_name in canonical:
            raise ConfigError(f"`{path}{field_name}` is given twice in {source}, once as `{key}`.", remedy="Keep one.")
        nested = nested_section(section, field_name)
        if nested is not None and value is not None:
            if not isinstance(value, Mapping):
                raise ConfigError(f"`{dotted}` in {source} is `{value}`.", remedy="A section with keys is expected.")
            value = canonical_keys(nested, value, source=source, path=f"{dotted}.", whole=whole)
        canonical[field_name] = value
    return canonical


def sections_with(whole: type[BaseModel], key: str) -> list[str]:
    """Returns where a configuration has a key, for people.

    Args:
        whole: Class of the configuration.
        key: Name or alias of a field, without the path.

    Returns:
        Dotted paths in backticks; of sections side by side that have it one path, with a place holder and their names.
    """
    beside: dict[tuple[str, str], list[str]] = {}
    for path, field_name in _places(whole, key):
        beside.setdefault((".".join(path[:-1]), field_name), []).append(path[-1] if path else "")
    found = []
    for (above, field_name), names in beside.items():
        many = len(names) > 1 and bool(above)
        for name in ["NAME"] if many else names:
            dotted = ".".join(part for part in (above, name, field_name) if part)
            found.append(f"`{dotted}`" + (f" (NAME: {', '.join(names)})" if many else ""))
    return found


def nested_section(section: type[BaseModel], field_name: str) -> type[BaseModel] | None:
    """Returns the configuration class of a field, or None when the field is not a section."""
    annotation = section.model_fields[field_name].annotation
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _aliases(validation_alias: object) -> Iterator[str]:
    if isinstance(validation_alias, AliasChoices):
        yield from (choice for choice in validation_alias.choices if isinstance(choice, str))
    elif isinstance(validation_alias, str):
        yield validation_alias


def _places(section: type[BaseModel], key: str, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yields the path of every section that has the key, and the name of the field there."""
    for field_name, field in section.model_fields.items():
        if key in (field_name, *_aliases(field.validation_alias)):
            yield path, field_name
        nested = nested_section(section, field_name)
        if nested is not None:
            yield from _places(nested, key, (*path, field_name))
