"""Architecture of GRU4Rec and the syntax of its official command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, field_validator

from tfrec.config.parameter_pairs import parameter_pairs, parameter_value
from tfrec.config.strict_model import StrictModel, aliased
from tfrec.errors import ConfigError


class GRU4RecConfig(StrictModel):
    """Architecture of GRU4Rec.

    Reference: arXiv 1511.06939 and 1706.03847.
    """

    layers: list[int] = Field([100], min_length=1, description="Width of each GRU layer.")
    embedding_mode: Literal["shared", "separate", "none"] = Field(
        "shared", description="Input vectors: the output table (constrained), a table of their own, or rows of Wx."
    )
    embedding_dim: int = aliased(0, "embedding", "Width of a separate input table; 0 means the first layer's.", ge=0)
    dropout_embedding: float = aliased(0.0, "dropout_p_embed", "Drop-out of the looked-up input vectors.", ge=0, lt=1)
    dropout_hidden: float = aliased(0.0, "dropout_p_hidden", "Drop-out of each layer's new state.", ge=0, lt=1)
    hidden_activation: str = aliased("tanh", "hidden_act", "Activation of the candidate state.")
    init_bound: float = aliased(0.0, "sigma", "Bound of the initialisation; 0 means Glorot per gate.", ge=0)
    init_normal: bool = aliased(False, "init_as_normal", "Draw initial weights from a normal distribution.")

    @field_validator("layers")
    @classmethod
    def _positive(cls, layers: list[int]) -> list[int]:
        if any(width < 1 for width in layers):
            raise ValueError("every layer needs at least one unit")
        return layers


def _boolean(text: str) -> bool:
    values = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}
    return values[text]


def _layers(text: str) -> list[int]:
    return [int(part) for part in text.split("/")]


_OFFICIAL: dict[str, tuple[str, Callable[[str], Any]]] = {
    "layers": ("model.layers", _layers),
    "embedding": ("model.embedding_dim", lambda text: 0 if text == "layersize" else int(text)),
    "constrained_embedding": ("", _boolean),
    "dropout_p_embed": ("model.dropout_embedding", float),
    "dropout_p_hidden": ("model.dropout_hidden", float),
    "hidden_act": ("model.hidden_activation", str),
    "sigma": ("model.init_bound", float),
    "init_as_normal": ("model.init_normal", _boolean),
    "loss": ("objective.loss", str),
    "final_act": ("objective.final_activation", str),
    "elu_param": ("objective.final_activation", lambda text: "linear" if float(text) == 0 else f"elu-{float(text):g}"),
    "n_sample": ("objective.num_negatives", int),
    "sample_alpha": ("objective.negative_alpha", float),
    "logq": ("objective.logq_strength", float),
    "bpreg": ("objective.score_regularization", float),
    "smoothing": ("objective.label_smoothing", float),
    "adapt": ("optimizer.name", str),
    "adapt_params": (
        "optimizer.averages",
        lambda text: [float(part) for part in text.split("/") if part not in ("", "[]")],
    ),
    "lmbd": ("optimizer.l2", float),
    "grad_cap": ("optimizer.gradient_cap", float),
    "learning_rate": ("optimizer.learning_rate", float),
    "momentum": ("optimizer.momentum", float),
    "train_random_order": ("training.random_order", _boolean),
    "time_sort": ("training.time_sort", _boolean),
    "n_epochs": ("training.epochs", int),
    "batch_size": ("training.batch_size", int),
}


def parse_official_params(text: str) -> dict[str, dict[str, Any]]:
    """Translates the parameter string of the official `run.py -ps` into configuration sections.

    Args:
        text: `name=value` pairs joined by commas; lists use `/`; booleans are True, False, 1 or 0.

    Returns:
        Nested mapping, for example `{"model": {"layers": [100]}, "training": {"epochs": 10}}`.

    Raises:
        ConfigError: A pair has no `=`, a name is unknown, or a value has the wrong type.
    """
    sections: dict[str, dict[str, Any]] = {}
    given: dict[str, Any] = {}
    for name, value in parameter_pairs(text, _OFFICIAL):
        path, convert = _OFFICIAL[name]
        given[name] = parameter_value(name, value, convert)
        if name == "final_act" and value in ("softmax", "softmax_logit"):
            continue  # part of the loss, see below
        if path:
            section, key = path.split(".")
            sections.setdefault(section, {})[key] = given[name]
    if given.get("adapt") == "adadelta":
        sections["optimizer"]["learning_rate"] = 1.0  # as the official code does, whatever was asked for
    if given.get("constrained_embedding", False):
        sections.setdefault("model", {})["embedding_mode"] = "shared"
    elif "constrained_embedding" in given or "embedding" in given:
        separate = given.get("embedding", 0) > 0 or "embedding=layersize" in text.replace(" ", "")
        sections.setdefault("model", {})["embedding_mode"] = "separate" if separate else "none"
    softmax = given.get("final_act") in ("softmax", "softmax_logit")
    if softmax and given.get("loss", "cross-entropy") not in ("cross-entropy", "xe_logit"):
        raise ConfigError(
            f"`final_act={given['final_act']}` in `--params` goes with cross-entropy, not with `loss={given['loss']}`.",
            remedy="Use linear, relu, tanh, leaky-A, elu-A or selu-S-A.",
        )
    return sections
