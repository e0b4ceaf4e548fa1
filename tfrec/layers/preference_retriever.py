"""Retrieval by preference texts: candidates are compared with the texts and items of a user by a mixture of experts."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.ur4rec_config import RetrieverConfig
from tfrec.layers.context_expert import ContextExpert
from tfrec.layers.expert_router import ExpertRouter
from tfrec.layers.given_tables import add_given_table
from tfrec.layers.item_table import RESERVED_ROWS, ItemTable
from tfrec.layers.proxy_attention import ProxyAttention
from tfrec.layers.seeded_dropout import kept_whole, seeded_dropout
from tfrec.layers.text_table import TextTable
from tfrec.layers.user_memory import UserMemory
from tfrec.seeds import derive_seed


class UserSide(NamedTuple):
    """What the retriever knows of users.

    Attributes:
        contexts: One per expert, float `[rows, tokens, dim]`.
        real: Which tokens there are, one per expert, bool `[rows, tokens]`.
        means: Mean tokens, joined, float `[rows, experts * dim]`.
        vector: The user in one vector, float `[rows, dim]`.
        known: Whether there is any token, bool `[rows]`.
    """

    contexts: list[tf.Tensor]
    real: list[tf.Tensor]
    means: tf.Tensor
    vector: tf.Tensor
    known: tf.Tensor


class Candidates(NamedTuple):
    """Items as the retriever compares them.

    Attributes:
        vectors: Means of both modalities, float `[items, dim]`; 0 where nothing is known.
        text: Texts of length 1 or 0, float `[items, dim]`; None without texts.
        embedding: Learned vectors of length 1, or 0 without training events, float `[items, dim]`; None without them.
    """

    vectors: tf.Tensor
    text: tf.Tensor | None
    embedding: tf.Tensor | None


class PreferenceRetriever(keras.layers.Layer):
    """Scores candidates by `cosine(c, t) / temperature`.

    `t` is the mean of the modalities of an item, each of length 1: its projected text and a learned vector (only of
    items with training events). `c` is what the experts make of `t`: each attends to a context of the user (preference
    texts; texts of the latest events; learned vectors of the latest events), a router weighs them, proxy tokens refine
    the sum, the user's memory is mixed in. An expert exists where there is something for it to see.

    Args:
        config: Sizes and inputs.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        item_text_width: Width of the vectors of item texts; 0: there are none.
        user_text_width: Width of the vectors of user texts; 0: there are none.
        num_users: Number of user indices.
        seed: Seed of the initial weights.

    Reference: ww93/MLLM (7eb3b3d). Differences: all vectors are normalised and texts are projected in the graph; the
        second and the third expert see a user's history, not the candidate once more; all candidates at once.
    """

    def __init__(
        self,
        config: RetrieverConfig,
        vocab_size: int,
        *,
        item_text_width: int = 0,
        user_text_width: int = 0,
        num_users: int = 0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config, self.vocab_size, dim = config, vocab_size, config.dim
        settings: dict[str, Any] = {"dropout": config.dropout}
        self.item_texts = self.user_texts = None
        if item_text_width:
            own = derive_seed(seed, "item texts")
            self.item_texts = TextTable(vocab_size, item_text_width, dim, seed=own, name="item_texts", **settings)
        if user_text_width and num_users:
            own = derive_seed(seed, "user texts")
            self.user_texts = TextTable(num_users, user_text_width, dim, seed=own, name="user_texts", **settings)
        self.embeddings: ItemTable | None = None
        if config.embeddings or self.item_texts is None:
            self.embeddings = ItemTable(
                vocab_size,
                dim,
                use_bias=False,
                bound=config.init_stddev,
                normal=True,
                seed=derive_seed(seed, "embeddings"),
                name="embeddings",
            )
        self.has_preferences = self.user_texts is not None or (
            config.history_preference and self.item_texts is not None
        )
        sees = {
            "preferences": self.has_preferences,
            "descriptions": self.item_texts is not None,
            "embeddings": self.embeddings is not None,
        }
        self.expert_names = [name for name, present in sees.items() if present]
        self.experts = [
            ContextExpert(dim, config.heads, seed=derive_seed(seed, name), name=f"expert_{name}", **settings)
            for name in self.expert_names
        ]
        self.router = ExpertRouter(dim, len(self.experts), seed=derive_seed(seed, "router"), name="router")
        self.aggregation = ProxyAttention(
            dim,
            config.proxy_heads,
            config.proxies,
            seed=derive_seed(seed, "proxies"),
            name="aggregation",
            **settings,
        )
        initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, "user"))
        self.user_projection = keras.layers.Dense(dim, kernel_initializer=initializer, name="user_projection")
        self.user_norm = keras.layers.LayerNormalization(epsilon=1e-6, name="user_norm")

    def build(self, input_shape: object = None) -> None:
        parts = [self.item_texts, self.user_texts, self.embeddings, *self.experts, self.router, self.aggregation]
        for part in parts:
            if part is not None:
                part.build()
        self.user_projection.build((None, len(self.experts) * self.config.dim))
        self.user_norm.build((None, self.config.dim))
        self.trained = add_given_table(self, "trained", (self.vocab_size,))  # [vocab]: 1 for items with training events
        self.built = True

    def set_items(self, counts: NDArray[Any]) -> None:
        """Takes over the training events per item index, `[vocab_size]`: items without any have no learned vector."""
        self.trained.assign((np.asarray(counts) > 0).astype(np.float32))

    def candidates(self, ids: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> Candidates:
        """Looks items up: int32 `[items]`; `dropout_seed` int32 `[2]`, None means inference."""
        text, embedding = self._text(ids, dropout_seed), self._embedding(ids)
        if text is None or embedding is None:
            vectors = embedding if text is None else text
            return Candidates(vectors, text, embedding)
        own = embedding
        if dropout_seed is not None and self.config.id_dropout:
            kept = kept_whole(tf.shape(ids), self.config.id_dropout, dropout_seed, "ids")  # [items]
            own *= tf.cast(kept, own.dtype)[:, tf.newaxis]
        return Candidates((text + own) / 2.0, text, embedding)

    def user_side(
        self,
        users: tf.Tensor | None,
        history: tf.Tensor,
        *,
        dropout_seed: tf.Tensor | None = None,
    ) -> UserSide:
        """Gathers what is known of users.

        Args:
            users: User indices, int32 `[rows]`; None where the data have no users.
            history: Items of the latest events, the latest last, int32 `[rows, window]`; 0 and 1 are no items. The
                experts see the last `config.window` of them.
            dropout_seed: int32 `[2]`; None means inference.
        """
        latest = history[:, -self.config.window :]  # [rows, window]
        found: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}
        rows = tf.shape(history)[0]
        texts = self._text(history, dropout_seed)  # [rows, window, dim]
        if self.has_preferences:
            tokens = [tf.zeros([rows, 0, self.config.dim])]
            if self.user_texts is not None:
                index = tf.zeros([rows], tf.int32) if users is None else users
                own, _ = self.user_texts(index, dropout_seed=dropout_seed)  # [rows, dim]
                tokens.append((own * self._kept(rows, dropout_seed))[:, tf.newaxis])
            if texts is not None and self.config.history_preference:
                tokens.append(tf.math.l2_normalize(tf.reduce_sum(texts, axis=1, keepdims=True), axis=-1))
            found["preferences"] = _present(tf.concat(tokens, axis=1))
        if texts is not None:
            found["descriptions"] = _present(texts[:, -self.config.window :])
        embedded = self._embedding(latest)
        if embedded is not None:
            embedded = seeded_dropout(embedded, self.config.dropout, dropout_seed, f"{self.name} events")
            found["embeddings"] = _present(embedded)
        contexts, real = [found[name][0] for name in self.expert_names], [found[name][1] for name in self.expert_names]
        means = tf.concat([_mean(*pair) for pair in zip(contexts, real, strict=True)], axis=1)
        vector = self.user_norm(self.user_projection(means))  # [rows, dim]
        known = tf.reduce_any(tf.concat(real, axis=1), axis=1)
        return UserSide(contexts, real, means, vector, known)

    def call(
        self,
        side: UserSide,
        candidates: tf.Tensor,
        *,
        memory: UserMemory | None = None,
        memories: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores candidates.

        Args:
            side: What is known of the users.
            candidates: Vectors of items, float `[items, dim]`, the same for all users.
            memory: Mixes memories in.
            memories: Memories of the users, float `[rows, dim]`; None: nothing is mixed in.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            Scores, float `[rows, items]`, and weights of the experts, float `[rows, items, experts]`.
        """
        targets = candidates[tf.newaxis]  # [1, items, dim]
        weights = self.router(targets, side.means)  # [rows, items, experts]
        mixture = tf.zeros([])
        for number, expert in enumerate(self.experts):
            own = expert(targets, side.contexts[number], side.real[number], dropout_seed=dropout_seed)
            mixture += weights[..., number : number + 1] * own  # [rows, items, dim]
        refined = self.aggregation(mixture, dropout_seed=dropout_seed)
        if memory is not None and memories is not None:
            refined = memory(refined, memories)
        refined, targets = tf.math.l2_normalize(refined, axis=-1), tf.math.l2_normalize(targets, axis=-1)
        return tf.reduce_sum(refined * targets, axis=-1) / self.config.temperature, weights

    # ---- look-ups -------------------------------------------------------------------------------------------------

    def _text(self, ids: tf.Tensor, dropout_seed: tf.Tensor | None) -> tf.Tensor | None:
        return None if self.item_texts is None else self.item_texts(ids, dropout_seed=dropout_seed)[0]

    def _embedding(self, ids: tf.Tensor) -> tf.Tensor | None:
        if self.embeddings is None:
            return None
        vectors = tf.math.l2_normalize(self.embeddings(ids), axis=-1)
        real = tf.gather(self.trained.value, ids) * tf.cast(ids >= RESERVED_ROWS, tf.float32)
        return vectors * real[..., tf.newaxis]

    def _kept(self, rows: tf.Tensor, dropout_seed: tf.Tensor | None) -> tf.Tensor:
        if dropout_seed is None or not self.config.user_text_dropout:
            return tf.ones([rows, 1])
        return tf.cast(kept_whole([rows, 1], self.config.user_text_dropout, dropout_seed, "user texts"), tf.float32)


def _present(tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns tokens `[rows, tokens, dim]` and which of them are no zeros, bool `[rows, tokens]`."""
    return tokens, tf.reduce_any(tf.not_equal(tokens, 0.0), axis=-1)


def _mean(tokens: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Mean of the real tokens, float `[rows, dim]`."""
    weight = tf.cast(real, tokens.dtype)[..., tf.newaxis]
    return tf.math.divide_no_nan(tf.reduce_sum(tokens * weight, axis=1), tf.reduce_sum(weight, axis=1))
