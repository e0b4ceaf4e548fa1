"""DIN: entries of a list count by how relevant they are for the target."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.config.click_baseline_configs import DINConfig
from tfrec.data.impressions.fields import FieldSet
from tfrec.errors import ConfigError
from tfrec.layers.relevance_score import RelevanceScore
from tfrec.models.click_network import ClickNetwork
from tfrec.models.impression_model import Batch, real_positions
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("din")
class DIN(ClickNetwork):
    """Dense network over the vectors of all features, where a list is the sum of its vectors times their relevance.

    The relevance of an entry is the output of a small network over the target, the entry, their difference and product;
    it is not normalised, so that the sum also tells how strong an interest is. Lists without a target are averaged.

    Args: as of `ImpressionModel`.

    Reference: arXiv 1706.06978.
    """

    config_class = DINConfig

    def __init__(self, config: Any, fields: FieldSet, **kwargs: Any) -> None:
        super().__init__(config, fields, **kwargs)
        sequences = config.sequence or self.field_names("ids")
        self.check_names("sequence", sequences, "ids", "numbers")
        self.check_names("target", config.target, "category", "number")
        if len(sequences) != len(config.target):
            raise ConfigError(
                f"`model.target` names {len(config.target)} features, `model.sequence` {len(sequences)}.",
                remedy="Every list needs the feature of the target that it is compared with.",
            )
        self.target_of = dict(zip(sequences, config.target, strict=True))
        self.scores: dict[str, RelevanceScore] = {}
        for name in sequences:
            seed = derive_seed(self.seed, f"relevance {name}")
            hidden = tuple(config.relevance_hidden)
            score = RelevanceScore(config.embedding_dim, "din", hidden=hidden, seed=seed, name=f"relevance_{name}")
            score.build()
            self.scores[name] = score

    def features(self, batch: Batch, dropout_seed: tf.Tensor | None) -> tf.Tensor:
        parts = [self.vectors.side_by_side(batch, self.single)] if self.single else []
        for name in self.lists:
            if name not in self.scores:
                parts.append(self.pooled(name, batch))
                continue
            lengths = batch[f"{name}/length"]
            values, row = real_positions(batch[name], lengths)
            keys = self.vectors.of_values(name, values)  # [tokens, dim]
            target = self.vectors.side_by_side(batch, [self.target_of[name]])
            score = self.scores[name](target, keys, row, dropout_seed=dropout_seed)
            parts.append(tf.math.unsorted_segment_sum(score[:, tf.newaxis] * keys, row, tf.size(lengths)))
        return tf.concat(parts, axis=1)
