"""A recommender as TensorFlow Serving holds it: raw ids in, raw ids and scores out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.config.export_config import ExportConfig
from tfrec.data.vocabulary import FIRST_INDEX, PADDING_INDEX, Vocabulary
from tfrec.errors import ConfigError
from tfrec.models.history_batch import HistoryBatch, history_batch
from tfrec.models.sequence_recommender import FactorisedRecommender, SequenceRecommender
from tfrec.serving.candidate_rows import CandidateRows
from tfrec.serving.client.results import LOWEST_SCORE
from tfrec.serving.event_value_table import EventValueTable
from tfrec.serving.example_histories import parse_histories
from tfrec.serving.id_table import IdTable
from tfrec.serving.ranker import Ranker, ScoreRanker, VectorRanker
from tfrec.serving.shared_query import shared_query
from tfrec.serving.signature import Signature, Tensors, history_specs, traced
from tfrec.serving.target_ranking import TargetRanking
from tfrec.serving.untracked import Untracked
from tfrec.training.top_items import popularity_scores


class ServedModel(tf.Module):
    """Signatures around a trained model; `tfrec.serving.replay` shows how requests look.

    Histories are raw ids, oldest first, padded on the right with anything; unknown ids count as events out of the
    vocabulary. A history in which the model knows nothing gets the most popular items. Lists end with id 0 (or the
    empty text) and the lowest float where there are too few items; `count` is the number of real ones.

    Args:
        model: A trained model. Its Keras object is not part of the SavedModel, only its weights and what it computes.
        items: Its item vocabulary.
        users: Its user vocabulary; needed when the model is told the user.
        config: Index and length of lists.
        candidates: Indices of the items that may be recommended. Default: all.
        ranking: Metrics of the signatures that rank targets. Default: there are no such signatures.

    Raises:
        ConfigError: The model needs something of a request that requests cannot hold, or an index does not suit it.
    """

    def __init__(
        self,
        model: SequenceRecommender,
        items: Vocabulary,
        *,
        users: Vocabulary | None = None,
        config: ExportConfig | None = None,
        candidates: Sequence[int] | None = None,
        ranking: EvaluationConfig | None = None,
    ) -> None:
        super().__init__(name="served")
        config = config or ExportConfig()
        self.k = config.k
        self.factorised = isinstance(model, FactorisedRecommender)
        self.request_features = tuple(model.request_features)
        unknown = set(self.request_features) - {"timestamp", "request_time", "user", *model.event_vocabularies}
        if unknown or ("user" in self.request_features and users is None):
            raise ConfigError(
                f"`{model.registered_name}` needs {', '.join(f'`{name}`' for name in self.request_features)} of every "
                "request, and the data have no such thing.",
                remedy="Requests hold a history and, where the model asks for them, `timestamp` and `user`.",
            )
        self._weights = [variable.value for variable in model.weights]
        self._untracked = Untracked(model)
        self._shared = Untracked(shared_query(model, self.factorised))
        self.items = IdTable(items, name="items")
        self.users = IdTable(users, name="users") if users is not None and "user" in self.request_features else None
        self.event_values = {
            name: EventValueTable(values, name=f"values_of_{name}") for name, values in model.event_vocabularies.items()
        }
        rows = CandidateRows(items.size, candidates)
        popularity = popularity_scores(items)
        self._popularity = tf.Variable(popularity, trainable=False, name="popularity")
        self.ranker: Ranker
        if isinstance(model, FactorisedRecommender):
            vectors, bias = (np.asarray(part, np.float32) for part in model.item_table())
            model.keep_items(vectors, bias)
            self.ranker = VectorRanker(rows, popularity, vectors, bias, config.index)
        else:
            if config.index.kind != "exact":
                raise ConfigError(
                    f"`{model.registered_name}` has no item vectors, so there is nothing to put into an index of kind "
                    f"`{config.index.kind}`.",
                    remedy="Pass --index exact.",
                )
            self.ranker = ScoreRanker(rows, popularity)
        self.target_ranking = None
        if ranking is not None:
            self.target_ranking = TargetRanking(
                model, self.items, self.users, items.counts, self._query, ranking, self.event_values
            )

    @property
    def model(self) -> Any:
        """The Keras model."""
        return self._untracked.value

    # ---- signatures -----------------------------------------------------------------------------------------------

    def serving_default(self, **inputs: tf.Tensor) -> Tensors:
        """The `k` best items, without those of the history; every input has a batch axis, so requests can be batched.

        Args:
            **inputs: `history` ids `[batch, n]`, `history_length` int32 `[batch]`, and what the model asks for:
                `timestamp` int64 `[batch, n]` (milliseconds), `request_time` int64 `[batch]` (0: that of the latest
                event), `user` ids `[batch]`, raw values of the features of events `[batch, n]`.

        Returns:
            `items` ids and `scores` float32 `[batch, k]`, `count` int32 `[batch]`.
        """
        (batch, cold), seen = self._history(inputs)
        return self._answer(self.ranker(self._query(batch), cold, self.k, excluded=seen))

    def recommend(self, **inputs: tf.Tensor) -> Tensors:
        """The best items by the wishes of the request.

        Args:
            **inputs: As for `serving_default`, and `k` int32 scalar; `exclude_ids` ids `[batch, e]` and `allow_ids` ids
                `[batch, a]`, in which unknown ids are ignored, so that they may pad; a = 0 means that all items are
                allowed; `exclude_history` bool scalar.

        Returns:
            `items` ids and `scores` float32 `[batch, min(k, candidates)]`, `count` int32 `[batch]`.
        """
        positive = tf.debugging.assert_positive(inputs["k"], "`k` must be at least 1.")
        with tf.control_dependencies([] if positive is None else [positive]):
            (batch, cold), seen = self._history(inputs)
        seen = tf.where(inputs["exclude_history"], seen, PADDING_INDEX)
        excluded = tf.concat([self.items.lookup(inputs["exclude_ids"]), seen], axis=1)
        allowed = self.items.lookup(inputs["allow_ids"])
        return self._answer(self.ranker(self._query(batch), cold, inputs["k"], excluded=excluded, allowed=allowed))

    def encode_user(self, **inputs: tf.Tensor) -> Tensors:
        """The state after a history: `vector` float32 `[batch, dim]`, zeros where no item of it is known.

        Args:
            **inputs: As for `serving_default`.
        """
        (batch, cold), _ = self._history(inputs)
        return {"vector": tf.where(cold[:, tf.newaxis], 0.0, self._query(batch))}

    def encode_item(self, ids: tf.Tensor) -> Tensors:
        """Vectors of items, whose product with a state plus the bias is the score; zeros for unknown ids.

        Args:
            ids: Raw ids `[batch]`.

        Returns:
            `vector` float32 `[batch, dim]`, `bias` float32 `[batch]`.
        """
        indices = self.items.lookup(ids)
        vectors, bias = self.model.lookup_items(indices)
        known = indices >= FIRST_INDEX
        return {"vector": tf.where(known[:, tf.newaxis], vectors, 0.0), "bias": tf.where(known, bias, 0.0)}

    def score(self, **inputs: tf.Tensor) -> Tensors:
        """Scores of given items after a history: `scores` float32 `[batch, c]`, the lowest float for unknown ids.

        Args:
            **inputs: As for `serving_default`, and `ids` `[batch, c]`.
        """
        (batch, cold), _ = self._history(inputs)
        indices = self.items.lookup(inputs["ids"])  # [batch, c]
        if self.factorised:
            vectors, bias = self.model.lookup_items(indices)  # [batch, c, dim], [batch, c]
            scores = tf.linalg.matvec(vectors, self._query(batch)) + bias
        else:
            scores = tf.gather(self._query(batch), indices, batch_dims=1)
        scores = tf.where(cold[:, tf.newaxis], tf.gather(self._popularity, indices), scores)
        return {"scores": tf.where(indices >= FIRST_INDEX, scores, LOWEST_SCORE)}

    def examples(self, examples: tf.Tensor) -> Tensors:
        """As `serving_default`, from examples of the data set's format, which hold indices instead of raw ids.

        Args:
            examples: Serialized tf.Examples, string `[batch]`, with `item`; the last `num_targets` events (default: 0)
                are those that may be predicted and no history; the time of the first of them is that of the request.
                Where the model asks for them, `timestamp` and `user`. Numbers that are no index count as unknown.
        """
        sizes = {"item": self.model.vocab_size}
        sizes |= {name: table.size for name, table in self.event_values.items()}
        if self.users is not None:
            sizes["user"] = self.users.size
        parsed = parse_histories(examples, sizes, self.request_features)
        (batch, cold), seen = self._batch(*parsed)
        return self._answer(self.ranker(self._query(batch), cold, self.k, excluded=seen))

    def session_step(self, **inputs: tf.Tensor) -> Tensors:
        """Advances sessions by one event and ranks what may come next; nothing is excluded.

        Args:
            **inputs: `ids` `[batch]`, the new events, and `state_0`, `state_1`, ... float32 `[batch, units]`, the state
                of each layer: zeros for a new session, else what the last call returned. A state that is not finite is
                refused: no later event would bring the session back.

        Returns:
            The new `state_0`, ..., and as of `serving_default`.
        """
        state = tuple(
            tf.debugging.check_numerics(inputs[f"state_{layer}"], f"`state_{layer}` of a session is not finite")
            for layer in range(len(self.model.state_units))
        )
        state = self.model.session_step(self.items.lookup(inputs["ids"]), state)
        warm = tf.zeros(tf.shape(inputs["ids"]), tf.bool)
        nothing = tf.zeros([tf.size(inputs["ids"]), 0], tf.int32)
        found = self._answer(self.ranker(tf.cast(state[-1], tf.float32), warm, self.k, excluded=nothing))
        return {**{f"state_{layer}": value for layer, value in enumerate(state)}, **found}

    def signatures(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Returns the traced signatures by name, as `tf.saved_model.save` takes them. Default: all."""
        found = self._specs()
        return {name: traced(*found[name]) for name in (found if names is None else names)}

    def _specs(self) -> dict[str, Signature]:
        ids = self.items.dtype
        history = history_specs(ids, self.request_features, self.event_values, self.users)
        wishes = {
            "k": tf.TensorSpec([], tf.int32),
            "exclude_ids": tf.TensorSpec([None, None], ids),
            "allow_ids": tf.TensorSpec([None, None], ids),
            "exclude_history": tf.TensorSpec([], tf.bool),
        }
        found: dict[str, Signature] = {
            "serving_default": (self.serving_default, history),
            "recommend": (self.recommend, {**history, **wishes}),
            "score": (self.score, {**history, "ids": tf.TensorSpec([None, None], ids)}),
            "examples": (self.examples, {"examples": tf.TensorSpec([None], tf.string)}),
        }
        if self.factorised:
            found["encode_user"] = (self.encode_user, history)
            found["encode_item"] = (self.encode_item, {"ids": tf.TensorSpec([None], ids)})
        if self.target_ranking is not None:
            found |= self.target_ranking.signatures()
        if hasattr(self.model, "session_step"):
            states = {
                f"state_{layer}": tf.TensorSpec([None, units], tf.float32)
                for layer, units in enumerate(self.model.state_units)
            }
            found["session_step"] = (self.session_step, {"ids": tf.TensorSpec([None], ids), **states})
        return found

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _history(self, inputs: Mapping[str, tf.Tensor]) -> tuple[HistoryBatch, tf.Tensor]:
        users = None if self.users is None else self.users.lookup(inputs["user"])
        history = self.items.lookup(inputs["history"])
        features = {name: table.lookup(inputs[name]) for name, table in self.event_values.items()}
        times = inputs.get("timestamp"), inputs.get("request_time")
        return self._batch(history, inputs["history_length"], times[0], users, features, times[1])

    def _batch(
        self,
        items: tf.Tensor,
        length: tf.Tensor,
        timestamps: tf.Tensor | None,
        users: tf.Tensor | None,
        features: Mapping[str, tf.Tensor],
        request_time: tf.Tensor | None,
    ) -> tuple[HistoryBatch, tf.Tensor]:
        """Returns the batch for the model, and the indices of all events int32 `[batch, n]`, 0 beyond the length."""
        prepared = history_batch(
            items,
            length,
            window=self.model.history_window,
            timestamps=timestamps,
            users=users,
            features=features,
            request_time=request_time,
        )
        inside = tf.range(tf.shape(items)[1]) < length[:, tf.newaxis]
        return prepared, tf.where(inside, items, PADDING_INDEX)

    def _query(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self._shared.value(dict(batch))

    def _answer(self, found: tuple[tf.Tensor, tf.Tensor]) -> Tensors:
        scores, indices = found
        real = indices >= FIRST_INDEX
        return {
            "items": self.items.raw(indices),
            "scores": tf.where(real, scores, LOWEST_SCORE),
            "count": tf.reduce_sum(tf.cast(real, tf.int32), axis=1),
        }
