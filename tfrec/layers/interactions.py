"""Interaction layers by name."""

from __future__ import annotations

from tfrec.config.feseq_config import InteractionKind
from tfrec.layers.cross_layers import CrossMix, CrossV1, CrossV2
from tfrec.layers.field_attention import AutoIntStack, DestineStack, FinalStack
from tfrec.layers.interaction_stack import InteractionStack

_KINDS: dict[str, type[InteractionStack]] = {
    "cross_v1": CrossV1,
    "cross_v2": CrossV2,
    "cross_mix": CrossMix,
    "autoint": AutoIntStack,
    "destine": DestineStack,
    "final": FinalStack,
}


def build_interaction(
    kind: InteractionKind, fields: int, dim: int, layers: int, *, dropout: float, seed: int, name: str
) -> InteractionStack:
    """Returns built interaction layers.

    Args:
        kind: Which.
        fields: Features per token.
        dim: Width of the vector of a feature.
        layers: Number of layers.
        dropout: Drop-out rate; without effect on cross networks.
        seed: Seed of initial weights.
        name: Name of the layer.
    """
    stack = _KINDS[kind](fields, dim, layers, dropout=dropout, seed=seed, name=name)
    stack.build((None, fields * dim))
    stack.built = True
    return stack
