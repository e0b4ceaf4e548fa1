"""The command-line flags that the publication of the long-term interest model names."""

from __future__ import annotations

from typing import Any

from tfrec.config.parameter_pairs import parameter_pairs, parameter_value

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
    for name, value in parameter_pairs(text, _FLAGS, elsewhere=_ELSEWHERE, dashes=True):
        path, convert = _FLAGS[name]
        section, _, key = path.rpartition(".")
        (sections.setdefault(section, {}) if section else sections)[key] = parameter_value(name, value, convert)
    return sections
