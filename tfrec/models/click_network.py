"""DNN: vectors of all features, averaged over lists, into a dense network."""

from __future__ import annotations

from typing import Any, ClassVar

import tensorflow as tf

from tfrec.config.click_model_config import ClickModelConfig
from tfrec.data.impressions.fields import FieldSet
from tfrec.layers.dense_stack import DenseStack
from tfrec.layers.interaction_stack import InteractionStack
from tfrec.models.impression_model import Batch, ImpressionModel, real_positions
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


@register_model("dnn")
class ClickNetwork(ImpressionModel):
    """Dense network over the vectors of all features, lists averaged.

    Subclasses add what looks at the same vectors beside the network (`beside`) or change how lists become vectors.

    Args: as of `ImpressionModel`.

    Reference: the baseline of most papers on click models.
    """

    config_class = ClickModelConfig
    config: Any
    network_outputs: ClassVar[int] = 1

    def __init__(self, config: Any, fields: FieldSet, **kwargs: Any) -> None:
        super().__init__(config, fields, **kwargs)
        self.single = [field.name for field in fields.fields if not field.is_list]
        self.lists = [field.name for field in fields.fields if field.is_list]
        self.vectors = self.make_vectors()
        self.num_vectors = len(self.single) + len(self.lists)
        self.network = self._network(self.network_width())
        self.built = True

    def network_width(self) -> int:
        """Width of what `features` returns."""
        return self.num_vectors * int(self.config.embedding_dim)

    def features(self, batch: Batch, dropout_seed: tf.Tensor | None) -> tf.Tensor:
        """What the dense network sees, float `[batch, network_width]`."""
        pooled = [self.pooled(name, batch) for name in self.lists]
        single = [self.vectors.side_by_side(batch, self.single)] if self.single else []
        return tf.concat([*single, *pooled], axis=1)

    def told_of_fields(self, stack: InteractionStack, features: tf.Tensor) -> dict[str, Any]:
        """What interaction layers tell `explain` of features."""
        told = {"interaction": stack.field_weights(features), "interaction_kind": stack.weights_kind}
        return {"fields": [*self.single, *self.lists], **told}

    def pooled(self, name: str, batch: Batch) -> tf.Tensor:
        """Mean of the vectors of a list, 0 where it is empty, float `[batch, dim]`."""
        lengths = batch[f"{name}/length"]
        values, row = real_positions(batch[name], lengths)
        total = tf.math.unsorted_segment_sum(self.vectors.of_values(name, values), row, tf.size(lengths))
        return total / tf.maximum(tf.cast(lengths, tf.float32), 1.0)[:, tf.newaxis]

    def logits(self, batch: Batch, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        return self.network(self.features(batch, dropout_seed), dropout_seed=dropout_seed)[:, 0]

    def looked_up(self, batch: Batch) -> list[tuple[Any, tf.Tensor]]:
        found = []
        for name, vocabulary in self.vectors.ids.items():
            ids = real_positions(batch[name], batch[f"{name}/length"])[0] if name in self.lists else batch[name]
            found.append((self.vectors.tables[vocabulary].vectors, ids))
        return found

    def dense_vectors(self) -> list[Any]:
        return [self.vectors.directions] if self.vectors.number_names else []

    def _network(self, width: int) -> DenseStack:
        config = self.config
        network = DenseStack(
            width,
            config.hidden,
            outputs=self.network_outputs,
            activation=config.activation,
            dropout=config.dropout,
            batch_norm=config.batch_norm,
            seed=derive_seed(self.seed, "network"),
            name="network",
        )
        network.build()
        return network
