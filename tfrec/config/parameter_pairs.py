"""The text of `--params`: `name=value` pairs joined by commas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tfrec.errors import ConfigError, did_you_mean

_NOWHERE: Mapping[str, str] = MappingProxyType({})


def parameter_pairs(
    text: str, known: Iterable[str], *, elsewhere: Mapping[str, str] = _NOWHERE, dashes: bool = False
) -> Iterator[tuple[str, str]]:
    """Yields names and values, one pair after the other.

    Args:
        text: The pairs.
        known: Names there are.
        elsewhere: What to do instead, by names of the publication that have their place outside of `--params`.
        dashes: Names may begin with `--`.

    Raises:
        ConfigError: A pair has no `=`, or a name is unknown or has its place elsewhere.
    """
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = (pair.lstrip("-") if dashes else pair).partition("=")
        if not separator:
            raise ConfigError(f"`--params` has `{pair}` without `=`.", remedy="Write name=value,name=value.")
        if name in elsewhere:
            raise ConfigError(f"`{name}` is not for `--params`.", remedy=elsewhere[name])
        if name not in known:
            raise ConfigError(f"Unknown name `{name}` in `--params`.", remedy=did_you_mean(name, known))
        yield name, value


def parameter_value(name: str, value: str, convert: Callable[[str], Any]) -> Any:
    """Returns a value in its type.

    Args:
        name: Its name, for the error.
        value: Its text.
        convert: Makes the value of the text; raises ValueError or KeyError for a text that is none.

    Raises:
        ConfigError: The text is none of this type.
    """
    try:
        return convert(value)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"`{name}={value}` in `--params` cannot be read.", remedy="Check its type.") from error
