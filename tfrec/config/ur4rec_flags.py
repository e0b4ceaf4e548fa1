"""The command-line flags that the publication of UR4Rec names."""

from __future__ import annotations

from typing import Any

from tfrec.config.parameter_pairs import parameter_pairs
from tfrec.config.stages_config import STAGES
from tfrec.errors import ConfigError

_NAMES = ("stages", "epochs_per_stage", "patience", "seed")
_ELSEWHERE = {
    "config": "Pass --config FILE.",
    "data_dir": "Convert the log (`python -m tfrec.convert`) and pass --data DS.",
    "llm_data_dir": "Put vectors of the texts beside the dataset: `python -m tfrec.texts encode --data DS`.",
    "output_dir": "Pass --output RUN.",
    "device": "TensorFlow takes a GPU where there is one; CUDA_VISIBLE_DEVICES hides it.",
}


def parse_stage_flags(text: str) -> dict[str, Any]:
    """Translates flags into configuration sections; the epochs and the patience become those of every stage.

    Args:
        text: `name=value` pairs joined by commas; names may begin with `--`; stages are joined by `+`.

    Raises:
        ConfigError: A pair has no `=`, a name is unknown or has its place elsewhere, or a value has the wrong type.

    Example:
        >>> parse_stage_flags("stages=pretrain_sasrec+end_to_end,seed=1")
        {'stages': {'run': ['pretrain_sasrec', 'end_to_end']}, 'seed': 1}
    """
    sections: dict[str, Any] = {}
    stages: dict[str, Any] = {}
    for name, value in parameter_pairs(text, _NAMES, elsewhere=_ELSEWHERE, dashes=True):
        if name == "stages":
            stages["run"] = value.split("+")
            continue
        try:
            number = int(value)
        except ValueError as error:
            raise ConfigError(f"`{name}={value}` in `--params` is no whole number.") from error
        if name == "seed":
            sections["seed"] = number
            continue
        for stage in STAGES:
            stages.setdefault(stage, {})["epochs" if name == "epochs_per_stage" else name] = number
    return {**({"stages": stages} if stages else {}), **sections}
