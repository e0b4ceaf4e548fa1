"""From the tokens of a row to one vector."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfrec.config.feseq_config import PoolingKind
from tfrec.layers.relevance_score import RelevanceKind, RelevanceScore
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class SequencePooling(keras.layers.Layer):
    """Mean, sum, last token, all tokens side by side, or a mean weighted by relevance for the target or by position.

    `weighted_sum`: `q = PReLU(W_q item)`, `k = PReLU(W_k x)`, `v = PReLU(W_v x)` with one slope for all, from 0.1;
    weights are a softmax of relevance over the tokens of the row; the sum of v goes through a dense layer and PReLU.

    `position_weighted`: weights are a softmax of one learned number per place over the tokens of the row, at first the
    same for all, so that it begins as `mean`.

    Args:
        kind: Which.
        dim: Width of tokens.
        max_tokens: Most tokens of a row; needed for `concat`, which puts them side by side, the last one last.
        num_places: Places that `position_weighted` tells apart; needed for it.
        item_dim: Width of the item that `weighted_sum` asks about.
        hidden: Width of q, k and v.
        relevance: Score of `weighted_sum`.
        scale: Divide scores by the root of their width.
        dropout: Drop-out of q, k and v.
        attention_dropout: Drop-out of the weights.
        seed: Seed of initial weights.

    Raises:
        ValueError: `position_weighted` without `num_places`.

    Reference: FESeq (Applied Sciences 14(7):2760), section 3.5; TorchRec's `PositionWeightedModule`.
    Differences: `concat` has zeros where a row has no token; the source has what its transformer makes of padding.
        TorchRec's weights are free, ours a softmax: far places of long rows do not thin out near ones.
    """

    def __init__(
        self,
        kind: PoolingKind,
        dim: int,
        *,
        max_tokens: int = 0,
        num_places: int = 0,
        item_dim: int = 0,
        hidden: int = 64,
        relevance: RelevanceKind = "bilinear",
        scale: bool = True,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        if kind == "position_weighted" and num_places < 1:
            raise ValueError("`position_weighted` needs `num_places`")
        self.kind, self.dim, self.max_tokens, self.item_dim, self.hidden = kind, dim, max_tokens, item_dim, hidden
        self.num_places, self.relevance, self.scale, self.seed = num_places, relevance, scale, seed
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.projections: dict[str, keras.layers.Dense] = {}
        if kind == "weighted_sum":
            for name in ("query", "key", "value"):
                initializer = keras.initializers.GlorotNormal(derive_seed(seed, name))
                self.projections[name] = keras.layers.Dense(
                    hidden, use_bias=False, kernel_initializer=initializer, name=name
                )
            initializer = keras.initializers.GlorotNormal(derive_seed(seed, "output"))
            self.projections["output"] = keras.layers.Dense(dim, kernel_initializer=initializer, name="output")
            self.score = RelevanceScore(hidden, relevance, scale=scale, seed=derive_seed(seed, "score"), name="score")

    @property
    def output_dim(self) -> int:
        """Width of the result."""
        return self.dim * self.max_tokens if self.kind == "concat" else self.dim

    def build(self, input_shape: object = None) -> None:
        if self.projections:
            widths = {"query": self.item_dim, "key": self.dim, "value": self.dim, "output": self.hidden}
            for name, layer in self.projections.items():
                layer.build((None, widths[name]))
            self.score.build()
            constant = keras.initializers.Constant(0.1)
            self.slope = self.add_weight(shape=(1,), initializer=constant, name="slope")
        if self.kind == "position_weighted":
            self.place_scores = self.add_weight(shape=(self.num_places,), initializer="zeros", name="place_scores")
        self.built = True

    def call(
        self,
        tokens: tf.Tensor,
        lengths: tf.Tensor,
        row: tf.Tensor,
        *,
        item: tf.Tensor | None = None,
        place: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Pools.

        Args:
            tokens: float `[tokens, dim]`, row after row; the last of each row is the target.
            lengths: Tokens of every row, int32 `[rows]`.
            row: Row of every token, int32 `[tokens]`.
            item: What `weighted_sum` asks about, float `[rows, item_dim]`.
            place: Where every token is, below `num_places`, int32 `[tokens]`; for `position_weighted`.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            float `[rows, output_dim]`.
        """
        rows = tf.shape(lengths)[0]
        if self.kind == "target":
            return tf.gather(tokens, tf.cumsum(lengths) - 1)
        if self.kind == "concat":
            last = tf.cumsum(lengths)[:, tf.newaxis] - tf.range(self.max_tokens, 0, -1)  # [rows, max_tokens]
            there = last >= tf.cumsum(lengths, exclusive=True)[:, tf.newaxis]
            padded = tf.gather(tokens, tf.maximum(last, 0)) * tf.cast(there, tokens.dtype)[..., tf.newaxis]
            return tf.reshape(padded, [-1, self.max_tokens * self.dim])
        if self.kind == "weighted_sum":
            weights, value = self.weights_of(tokens, row, item, rows, dropout_seed)
            weights = seeded_dropout(weights, self.attention_dropout, dropout_seed, f"{self.name} weights")
            total = tf.math.segment_sum(weights[:, tf.newaxis] * value, row)  # [rows, hidden]
            return self._activate(self.projections["output"](total))
        if self.kind == "position_weighted":
            return tf.math.segment_sum(self.weights_of_places(place, row, rows)[:, tf.newaxis] * tokens, row)
        total = tf.math.segment_sum(tokens, row)
        return total / tf.cast(lengths, tokens.dtype)[:, tf.newaxis] if self.kind == "mean" else total

    def weights_of(
        self,
        tokens: tf.Tensor,
        row: tf.Tensor,
        item: tf.Tensor | None,
        rows: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the weight of every token, float `[tokens]`, sum 1 per row, and its value `[tokens, hidden]`."""

        def project(name: str, inputs: tf.Tensor | None) -> tf.Tensor:
            projected = self._activate(self.projections[name](inputs))
            return seeded_dropout(projected, self.dropout, dropout_seed, f"{self.name} {name}")

        query, key, value = project("query", item), project("key", tokens), project("value", tokens)
        return _softmax_of_rows(self.score(query, key, row, dropout_seed=dropout_seed), row, rows), value

    def weights_of_places(self, place: tf.Tensor, row: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Returns the weight of every token by its place, float `[tokens]`, sum 1 per row."""
        return _softmax_of_rows(tf.gather(tf.convert_to_tensor(self.place_scores.value), place), row, rows)

    def _activate(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(x) - tf.convert_to_tensor(self.slope.value) * tf.nn.relu(-x)

    def get_config(self) -> dict[str, object]:
        names = ("kind", "dim", "max_tokens", "num_places", "item_dim", "hidden", "relevance", "scale", "dropout")
        names += ("attention_dropout", "seed")  # type: ignore[assignment]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _softmax_of_rows(scores: tf.Tensor, row: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Softmax of scores float `[tokens]` over the tokens of each of `rows` rows."""
    highest = tf.math.unsorted_segment_max(tf.stop_gradient(scores), row, rows)
    shares = tf.exp(scores - tf.gather(highest, row))
    return shares / tf.gather(tf.math.segment_sum(shares, row), row)
