"""FESeq: features interact at every position of a list before a transformer reads it."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tfrec.config.feseq_config import BSTConfig, FESeqConfig
from tfrec.data.impressions.fields import FieldSet
from tfrec.errors import ConfigError
from tfrec.layers.dense_stack import DenseStack
from tfrec.layers.interaction_stack import InteractionStack
from tfrec.layers.interactions import build_interaction
from tfrec.layers.log_buckets import log_buckets
from tfrec.layers.post_norm_block import PostNormBlock
from tfrec.layers.sequence_pooling import SequencePooling
from tfrec.models.impression_model import Batch, ImpressionModel, aligned_at_end
from tfrec.registry import register_model
from tfrec.seeds import derive_seed

_LONG_AGO = 1e30
"""Time since an entry that has none: the largest there is."""


@register_model("feseq")
class FESeq(ImpressionModel):
    """Feature-interaction enhanced transformer over a list and the target that follows it.

    Every entry of the list, and the target after the last, is a token of the vectors of the sequence fields and the
    context fields; these interact by one stack of layers for all positions; the vector of the distance to the target
    (and of the time to it) is appended; transformer blocks and a pooling follow. A dense network over the vectors of
    all other fields and the pooled vector gives the logit.

    Padding is never computed: the tokens of a batch lie one after another, rows in descending order of length, and the
    memory of attention is linear in the length. The first list says how many tokens there are; others are aligned with
    it at the end, and zeros where they are shorter.

    Args:
        config: Architecture.
        fields: Features of the data.

    Reference: Applied Sciences 14(7):2760, 2024, and its published code.
    Differences: `sum` pooling works; `concat` has zeros where a row has no token; out of vocabulary is index 1;
        `num_positions` and `position_weighted` are not in the source.
    """

    config_class = FESeqConfig
    config: FESeqConfig

    def __init__(self, config: Any, fields: FieldSet, **kwargs: Any) -> None:
        super().__init__(config, fields, **kwargs)
        times = {config.time_target, config.time_sequence}
        self.sequences = config.sequence or self.field_names("ids")
        self.targets = list(config.target)
        others = [name for name in self.field_names("category") if name not in self.targets]
        self.context = others if config.context is None else list(config.context)
        self._check(config)
        dnn_kinds = ("category", "number")
        self.dnn_fields = [
            field.name
            for field in fields.fields
            if field.kind in dnn_kinds and field.name not in self.targets and field.name not in times
        ]
        dim = config.embedding_dim
        used = {*self.sequences, *self.targets, *self.context, *self.dnn_fields}
        self.vectors = self.make_vectors(only=[field.name for field in fields.fields if field.name in used])
        self.items = list(config.target_items) or [n for n in self.targets if n in self.field_names("category")]
        token_fields = len(self.sequences) + len(self.context)
        self.interaction: InteractionStack | None = None
        if config.interaction != "none":
            self.interaction = self._interaction(token_fields, config.interaction_layers, "interaction")
        width = dim * (token_fields + config.positions + (config.time_target is not None))
        if width % config.heads:
            raise ConfigError(
                f"`model.heads={config.heads}` does not divide the width of tokens, {width}.",
                remedy=f"Take a divisor of {width}.",
            )
        if config.positions:
            self.position_table = self._table(self._num_places, "positions")
        if config.time_target is not None:
            self.time_table = self._table(config.num_times, "times")
        self.transformer = [self._block(width, number) for number in range(config.blocks)]
        item_dim = dim * len(self.items)
        self.pooling = SequencePooling(
            config.pooling,
            width,
            max_tokens=config.max_length + 1,
            num_places=self._num_places,
            item_dim=item_dim,
            hidden=config.relevance_dim,
            relevance=config.relevance,
            scale=config.relevance_scale,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            seed=derive_seed(self.seed, "pooling"),
            name="pooling",
        )
        self.pooling.build()
        self.item_interaction: InteractionStack | None = None
        if config.pooling == "weighted_sum":
            self.item_vectors = self.make_vectors("item_vectors", only=self.items)
            if config.item_interaction_layers and config.interaction != "none":
                self.item_interaction = self._interaction(
                    len(self.items), config.item_interaction_layers, "item_interaction"
                )
        self.network = DenseStack(
            dim * len(self.dnn_fields) + self.pooling.output_dim,
            config.hidden,
            activation=config.activation,
            dropout=config.dropout,
            batch_norm=config.batch_norm,
            seed=derive_seed(self.seed, "network"),
            name="network",
        )
        self.network.build()
        self.built = True

    def logits(self, batch: Batch, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        pooled = self._pooled(batch, dropout_seed)
        parts = [self.vectors.side_by_side(batch, self.dnn_fields)] if self.dnn_fields else []
        return self.network(tf.concat([*parts, pooled], axis=1), dropout_seed=dropout_seed)[:, 0]

    def tokens(self, batch: Batch, *, dropout_seed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns what the first transformer block reads.

        Args:
            batch: A batch whose rows are in the order in which tokens shall be.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            Tokens float `[tokens, width]`, row after row, the target last; their number per row int32 `[batch]`; and
            the row of every token int32 `[tokens]`.
        """
        matrix, counts, row, distance = self._token_matrix(batch)
        if self.interaction is not None:
            matrix = self.interaction(matrix, dropout_seed=dropout_seed)
        parts = [matrix]
        if self.config.positions:
            parts.append(tf.gather(self.position_table.value, self._place(distance)))
        if self.config.time_target is not None:
            parts.append(tf.gather(self.time_table.value, self._time_index(batch, row, distance)))
        return tf.concat(parts, axis=1), counts, row

    def _pooled(self, batch: Batch, dropout_seed: tf.Tensor | None) -> tf.Tensor:
        """Pooled vector of every row, float `[batch, pooled]`."""
        lengths = batch[f"{self.sequences[0]}/length"]
        order = tf.argsort(-lengths, stable=True)  # similar lengths together: attention pads within blocks only
        names = {*self.sequences, *self.targets, *self.context, *self.items}
        names |= {self.config.time_target, self.config.time_sequence} - {None}
        names |= {f"{name}/length" for name in (*self.sequences, self.config.time_sequence) if name is not None}
        ordered = {name: tf.gather(batch[name], order) for name in names}
        tokens, counts, row = self.tokens(ordered, dropout_seed=dropout_seed)
        for block in self.transformer:
            tokens = block(tokens, counts, dropout_seed=dropout_seed)
        item = self._item(ordered, dropout_seed) if self.config.pooling == "weighted_sum" else None
        weighted = self.config.pooling == "position_weighted"
        place = self._place(_distance(counts, row)) if weighted else None
        pooled = self.pooling(tokens, counts, row, item=item, place=place, dropout_seed=dropout_seed)
        return tf.gather(pooled, tf.argsort(order))

    def _token_matrix(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        lengths = batch[f"{self.sequences[0]}/length"]
        place = tf.where(tf.range(tf.reduce_max(lengths) + 1) <= lengths[:, tf.newaxis])  # [tokens, 2]
        row, column = tf.cast(place[:, 0], tf.int32), tf.cast(place[:, 1], tf.int32)
        counts = lengths + 1  # [batch]
        last = tf.cumsum(counts) - 1  # [batch], where the targets are
        parts = []
        distance = tf.gather(lengths, row) - column  # [tokens]
        padded = tf.pad(batch[self.sequences[0]], [[0, 0], [0, 1]])
        parts.append(self.vectors.of_values(self.sequences[0], tf.gather_nd(padded, place)))  # [tokens, dim]
        for name in self.sequences[1:]:
            values, there = aligned_at_end(batch, name, row, distance)
            parts.append(tf.where(there[:, tf.newaxis], self.vectors.of_values(name, values), 0.0))
        targets = self.vectors.side_by_side(batch, self.targets)  # [batch, targets * dim]
        sequence = tf.tensor_scatter_nd_update(tf.concat(parts, axis=1), last[:, tf.newaxis], targets)
        matrix = [sequence]
        if self.context:
            matrix.append(tf.gather(self.vectors.side_by_side(batch, self.context), row))
        return tf.concat(matrix, axis=1), counts, row, distance

    @property
    def _num_places(self) -> int:
        """Places of the list that have vectors and weights of their own."""
        return self.config.num_positions or self.config.max_length + 2

    def _place(self, distance: tf.Tensor) -> tf.Tensor:
        """Row of the table of positions for every distance to the target, int32, of the same shape."""
        rows = self.config.num_positions
        return log_buckets(distance, rows, self.config.max_length) if rows else distance

    def _time_index(self, batch: Batch, row: tf.Tensor, distance: tf.Tensor) -> tf.Tensor:
        """Row of the table of times for every token, int32 `[tokens]`."""
        config = self.config
        now = tf.gather(batch[str(config.time_target)], row)
        then, there = aligned_at_end(batch, str(config.time_sequence), row, distance)
        passed = tf.where(there, now - then, _LONG_AGO)
        passed = tf.maximum(tf.where(distance == 0, 0.0, passed), 0.0)
        if config.time_log_base > 1.0:
            passed = tf.math.log1p(passed) / math.log(config.time_log_base)
        return tf.cast(tf.minimum(passed, float(config.num_times - 2)), tf.int32)

    def _item(self, batch: Batch, dropout_seed: tf.Tensor | None) -> tf.Tensor:
        item = self.item_vectors.side_by_side(batch, self.items)
        return item if self.item_interaction is None else self.item_interaction(item, dropout_seed=dropout_seed)

    def explain(self, batch: Batch) -> dict[str, Any]:
        """Interaction of fields at all positions, and the relevance of positions for the target.

        Interaction is what the interaction layers tell of pairs of fields. Relevance is the weight of a weighted
        pooling, else the attention of the target in the last transformer block.
        """
        told: dict[str, Any] = {"fields": [*self.sequences, *self.context]}
        if self.interaction is not None:
            told["interaction"] = self.interaction.field_weights(self._token_matrix(batch)[0])
            told["interaction_kind"] = self.interaction.weights_kind
        tokens, counts, row = self.tokens(batch)
        told["distance"] = _distance(counts, row)
        if self.config.pooling == "position_weighted":
            told["weights"] = self.pooling.weights_of_places(self._place(told["distance"]), row, tf.size(counts))
            told["kind"] = "Weight of the pooling."
            return told
        for block in self.transformer[:-1]:
            tokens = block(tokens, counts)
        if self.config.pooling == "weighted_sum":
            tokens = self.transformer[-1](tokens, counts)
            item = self._item(batch, None)
            told["weights"], _ = self.pooling.weights_of(tokens, row, item, tf.size(counts))
            told["kind"] = "Weight of the pooling."
        else:
            told["weights"] = self.transformer[-1].attention_of_last(tokens, counts, row)
            told["kind"] = "Attention of the target in the last block, mean of the heads."
        return told

    def looked_up(self, batch: Batch) -> list[tuple[Any, tf.Tensor]]:
        found = []
        for name in {*self.sequences, *self.targets, *self.context, *self.dnn_fields}:
            if name in self.vectors.ids:
                table = self.vectors.tables[self.vectors.ids[name]].vectors
                ids = batch[name]
                found.append((table, tf.boolean_mask(ids, ids > 0) if name in self.sequences else ids))
        lengths = batch[f"{self.sequences[0]}/length"]
        if self.config.positions:
            found.append((self.position_table, self._place(tf.range(tf.reduce_max(lengths) + 1))))
        if self.config.time_target is not None:
            _, _, row, distance = self._token_matrix(batch)
            found.append((self.time_table, self._time_index(batch, row, distance)))
        return found

    def dense_vectors(self) -> list[Any]:
        return [self.vectors.directions] if self.vectors.number_names else []

    def _check(self, config: Any) -> None:
        self.check_names("sequence", self.sequences, "ids", "numbers")
        self.check_names("target", self.targets, "category", "number")
        self.check_names("context", self.context, "category", "number")
        self.check_names("target_items", config.target_items, "category")
        for key, kind in (("time_target", "number"), ("time_sequence", "numbers")):
            if (name := getattr(config, key)) is not None:
                self.check_names(key, [name], kind)
        if len(self.targets) != len(self.sequences):
            raise ConfigError(
                f"`model.target` names {len(self.targets)} features, `model.sequence` {len(self.sequences)}.",
                remedy="Every list needs the feature of the target that follows it.",
            )

    def _interaction(self, fields: int, layers: int, name: str) -> InteractionStack:
        config = self.config
        return build_interaction(
            config.interaction,  # type: ignore[arg-type]
            fields,
            config.embedding_dim,
            layers,
            dropout=config.interaction_dropout,
            seed=derive_seed(self.seed, name),
            name=name,
        )

    def _block(self, width: int, number: int) -> PostNormBlock:
        config = self.config
        block = PostNormBlock(
            width,
            config.heads,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            layer_norm=config.layer_norm,
            residual=config.residual,
            causal=config.causal,
            seed=derive_seed(self.seed, "block", number),
            name=f"block_{number}",
        )
        block.build()
        return block

    def _table(self, rows: int, name: str) -> Any:
        initializer = keras.initializers.RandomNormal(0.0, 1.0, derive_seed(self.seed, name))
        return self.add_weight(shape=(rows, self.config.embedding_dim), initializer=initializer, name=name)


def _distance(counts: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    """How far every token is from the last of its row, int32 `[tokens]`."""
    return tf.gather(tf.cumsum(counts) - 1, row) - tf.range(tf.size(row))


@register_model("bst")
class BST(FESeq):
    """Behaviour sequence transformer: a transformer over the list and the target, read off at the target.

    Args: as of `FESeq`.

    Reference: arXiv 1905.06874.
    Differences: the vector of the position is appended, not added; the output at the target goes into the network, not
        those of all positions.
    """

    config_class = BSTConfig
