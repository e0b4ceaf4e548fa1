"""The command-line flags that the publication of the long-term interest model names."""

from __future__ import annotations

from typing import Any

from tfrec.errors import ConfigError, did_you_mean

_FLAGS: dict[str, tuple[str, Any]] = {
    "epochs": ("training.epochs", int),
    "batch_size": ("training.batch_size", int),
    "lr": ("optimizer.learning_rate", float),
    "seed": ("seed", int),
    **{
        name: (f"model.{name}", int)
        for name in (
            *("item_embedding_dim", "cate_dim", "hidden_dim", "depth", "heads", "dim_head", "n_long", "n_short"),
            *("moe_experts", "moe_activated", "moe_hidden"),
        )
    },
    "dropout": ("model.dropout", float),
}
_ELSEWHERE = {
    "data_path": "Convert the log (`python -m tfrec.datasets get tianchi --dataset DS`) and pass --data DS.",
    "save_dir": "Pass --output RUN.",
    "min_events": "Pass --min-seq-len to `python -m tfrec.convert`.",
}


def parse_flags(text: str) -> dict[str, Any]:
    """Translates flags into configuration sections.

    Args:
        text: `name=value` pairs joined by commas; names may begin with `--`.

    Returns:
        Nested mapping, for example `{"optimizer": {"learning_rate": 0.001}, "model": {"moe_experts": 10}}`.

    Raises:
        ConfigError: A pair has no `=`, a name is unknown or has its place elsewhere, or a value has the wrong type.

    Example:
        >>> parse_flags("epochs=5,lr=1e-3")
        {'training': {'epochs': 5}, 'optimizer': {'learning_rate': 0.001}}
    """
    sections: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = pair.lstrip("-").partition("=")
        if not separator:
            raise ConfigError(f"`--params` has `{pair}` without `=`.", remedy="Write name=value,name=value.")
        if name in _ELSEWHERE:
            raise ConfigError(f"`{name}` is not for `--params`.", remedy=_ELSEWHERE[name])
        if name not in _FLAGS:
            raise ConfigError(f"Unknown name `{name}` in `--params`.", remedy=did_you_mean(name, _FLAGS))
        path, convert = _FLAGS[name]
        section, _, key = path.rpartition(".")
        try:
            (sections.setdefault(section, {}) if section else sections)[key] = convert(value)
        except ValueError as error:
            raise ConfigError(f"`{name}={value}` in `--params` cannot be read.", remedy="Check its type.") from error
    return sections
