"""UR4Rec: SASRec beside a retriever by preference texts, with a user memory and a fusion of both."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec.config.ur4rec_config import UR4RecConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_vectors
from tfrec.data.targets import target_positions
from tfrec.data.user_vectors import read_user_vectors
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.layers.preference_retriever import PreferenceRetriever, UserSide
from tfrec.layers.score_fusion import ScoreFusion, standardise
from tfrec.layers.user_memory import UserMemory
from tfrec.models.sasrec import SASRec
from tfrec.models.sequence_recommender import Batch, SequenceRecommender
from tfrec.registry import register_model
from tfrec.seeds import derive_seed

_PAIRS_AT_ONCE = 1 << 15
"""Pairs of a user and an item whose vectors are in memory at a time at inference."""

Step = Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]


@register_model("ur4rec")
class UR4Rec(SequenceRecommender):
    """Two branches whose standardised scores are weighed.

    `SASRec` reads the order of a user's events; `PreferenceRetriever` compares the texts and vectors of items with his
    preference text, the texts and the items of his history, and his memory (`UserMemory`). Items without training
    events, of which SASRec knows nothing, are scored by the retriever alone. Users who are unknown have neither text
    nor memory: their history alone decides.

    It is trained in stages (`tfrec.training.fit_stages`): each branch alone, both in turns, both together.

    Args:
        config: Architecture.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        item_text_width: Width of the vectors of item texts; 0: there are none.
        user_text_width: Width of the vectors of user texts; 0: there are none.
        num_users: Number of user indices, including 0 and 1; 0: the data have no users.

    Reference: ww93/MLLM (7eb3b3d), UR4Rec. Differences: the state of SASRec is that of the latest event; scores are
        standardised before they are weighed; the memory is updated, from the user's side alone; see the layers.
    """

    config_class = UR4RecConfig
    config: UR4RecConfig
    training_scheme = "stages"
    has_vectors = True

    def __init__(
        self,
        config: UR4RecConfig,
        vocab_size: int,
        *,
        seed: int = 0,
        item_text_width: int = 0,
        user_text_width: int = 0,
        num_users: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.item_text_width, self.user_text_width, self.num_users = item_text_width, user_text_width, num_users
        self.sasrec: SASRec | None = None
        if config.has_sasrec:
            self.sasrec = SASRec(config.sasrec, vocab_size, seed=derive_seed(seed, "sasrec"), name="sasrec")
        self.retriever: PreferenceRetriever | None = None
        self.memory: UserMemory | None = None
        if config.has_retriever:
            self.retriever = PreferenceRetriever(
                config.retriever,
                vocab_size,
                item_text_width=item_text_width,
                user_text_width=user_text_width,
                num_users=num_users,
                seed=derive_seed(seed, "retriever"),
                name="retriever",
            )
            self.retriever.build()
            if config.memory.enabled and num_users:
                settings = config.memory.model_dump(exclude={"enabled", "share"})
                own = derive_seed(seed, "memory")
                self.memory = UserMemory(num_users, config.retriever.dim, seed=own, name="memory", **settings)
                self.memory.build()
        self.fusion: ScoreFusion | None = None
        if self.sasrec is not None and self.retriever is not None:
            fusion = config.fusion
            self.fusion = ScoreFusion(
                fusion.mode,
                weights=(fusion.sasrec_weight, fusion.retriever_weight),
                widths=(config.sasrec.dim, config.retriever.dim),
                hidden=fusion.hidden,
                seed=derive_seed(seed, "fusion"),
                name="fusion",
            )
            self.fusion.build()
        self.loss_scales = self.add_weight(shape=(3,), initializer="zeros", name="loss_scales")  # sasrec, .., fused
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.event_counter = keras.metrics.Sum(name="events", dtype="float64")
        self.step_counter = keras.metrics.Sum(name="mini_batches", dtype="float64")
        self.stage_metrics: list[keras.metrics.Mean] = []
        self._step: Step | None = None
        self.built = True

    @classmethod
    def for_dataset(cls, config: Any, dataset: InteractionDataset, **kwargs: Any) -> UR4Rec:
        users = dataset.vocabulary("user").size if "user" in dataset.manifest.vocabularies else 0
        item_width = user_width = 0
        if config.has_retriever and config.retriever.item_texts is not None:
            item_width = int(read_item_vectors(dataset, config.retriever.item_texts).shape[1])
        if config.has_retriever and config.retriever.user_texts is not None:
            user_width = int(read_user_vectors(dataset, config.retriever.user_texts).vectors.shape[1])
        model = cls(
            config,
            dataset.item_vocabulary.size,
            item_text_width=item_width,
            user_text_width=user_width,
            num_users=users,
            **kwargs,
        )
        model.refresh_items(dataset)
        return model

    def refresh_items(self, dataset: InteractionDataset) -> None:
        """Takes over training counts and texts of the items, and the texts of the users.

        Raises:
            DataError: They are missing, or have other shapes than the model was made for.
        """
        if self.retriever is None:
            return
        self.retriever.set_items(dataset.item_vocabulary.counts)
        names = self.config.retriever
        if self.retriever.item_texts is not None:
            self.retriever.item_texts.set_vectors(read_item_vectors(dataset, str(names.item_texts)))
        if self.retriever.user_texts is not None:
            self.retriever.user_texts.set_vectors(read_user_vectors(dataset, str(names.user_texts)).vectors)

    def get_config(self) -> dict[str, Any]:
        names = ("item_text_width", "user_text_width", "num_users")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    # ---- inference ------------------------------------------------------------------------------------------------

    @property
    def history_window(self) -> int:
        return self.config.sasrec.max_length

    @property
    def request_features(self) -> tuple[str, ...]:
        told = self.memory is not None or (self.retriever is not None and self.retriever.user_texts is not None)
        return ("user",) if told else ()

    def score_targets(self, batch: Batch) -> tf.Tensor:
        return self._scores(batch, use_memory=True)

    def score_without_memory(self, batch: Batch) -> tf.Tensor:
        """As `score_targets`, as if all memories were unused."""
        return self._scores(batch, use_memory=False)

    def score_by_sasrec(self, batch: Batch) -> tf.Tensor:
        """As `score_targets`, by the SASRec branch alone."""
        if self.sasrec is None:
            raise RuntimeError("The SASRec branch is switched off.")
        return self.sasrec.score_targets(batch)

    def score_by_retriever(self, batch: Batch) -> tf.Tensor:
        """As `score_targets`, by the retriever alone."""
        return self._retrieved(batch, use_memory=True)[0]

    @property
    def vector_part(self) -> SASRec | None:
        return self.sasrec

    @property
    def scored_parts(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.fusion is not None:
            found |= {"sasrec alone": "score_by_sasrec", "retriever alone": "score_by_retriever"}
        if self.memory is not None:
            found["without memory"] = "score_without_memory"
        return found

    def call(self, batch: Batch) -> tf.Tensor:
        """Returns scores of all items for every target of the batch, float32 `[targets, vocab_size]`."""
        return self.score_targets(batch)

    def _scores(self, batch: Batch, *, use_memory: bool) -> tf.Tensor:
        if self.retriever is None:
            return self.score_by_sasrec(batch)
        retrieved, side = self._retrieved(batch, use_memory=use_memory)
        if self.sasrec is None or self.fusion is None:
            return retrieved
        states = self.sasrec.encode_targets(batch)  # [targets, sasrec dim]
        vectors, bias = self.sasrec.item_table()
        own = tf.matmul(states, vectors, transpose_b=True) + bias  # [targets, vocab]
        item = tf.range(self.vocab_size) >= FIRST_INDEX
        trained = self.retriever.trained.value > 0  # [vocab]
        weights = self.fusion.weights_of(states, side.vector)  # [targets, 2]
        return self.fusion(standardise(own, item & trained), standardise(retrieved, item), weights, ~trained)

    def _retrieved(self, batch: Batch, *, use_memory: bool) -> tuple[tf.Tensor, UserSide]:
        """Returns the retriever's scores `[targets, vocab]`, and what is known of the users."""
        retriever = self.retriever
        if retriever is None:
            raise RuntimeError("The retriever is switched off.")
        query_index, _ = target_positions(batch)  # [targets, 2]
        users = tf.gather(batch["user"], query_index[:, 0]) if "user" in batch else None  # [targets]
        side = retriever.user_side(users, latest_events(batch["item"], query_index, self.history_window))
        memories = None
        if use_memory and self.memory is not None and users is not None:
            memories = self.memory.read(users)  # [targets, dim]
        candidates = retriever.candidates(tf.range(self.vocab_size)).vectors  # [vocab, dim]
        rows = max(1, _PAIRS_AT_ONCE // self.vocab_size)
        count = tf.shape(query_index)[0]
        pieces = tf.maximum((count + rows - 1) // rows, 1)

        def one_piece(piece: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            some = slice(piece * rows, (piece + 1) * rows)
            part = tf.nest.map_structure(operator.itemgetter(some), side)
            own = None if memories is None else memories[some]
            scores, _ = retriever(part, candidates, memory=self.memory, memories=own)
            return piece + 1, found.write(piece, scores)

        found = tf.TensorArray(tf.float32, size=pieces, infer_shape=False, element_shape=[None, self.vocab_size])
        _, found = tf.while_loop(
            lambda piece, _: piece < pieces, one_piece, (tf.constant(0), found), parallel_iterations=1
        )
        return found.concat(), side

    # ---- training -------------------------------------------------------------------------------------------------

    def prepare_stage(self, step: Step, measured: Sequence[str]) -> None:
        """Sets what a training step does; must precede `fit`.

        Args:
            step: Takes one step on a batch, see `tfrec.models.ur4rec_step`; counts by the metrics of the model.
            measured: Names of what it measures besides the loss, in its order.
        """
        self._step = step
        self.stage_metrics = [keras.metrics.Mean(name=name) for name in measured]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.loss_tracker, self.event_counter, self.step_counter, *self.stage_metrics]

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if self._step is None:
            raise RuntimeError("`prepare_stage` must be called before `fit`.")
        return self._step(batch)


def latest_events(items: tf.Tensor, query_index: tf.Tensor, window: int) -> tf.Tensor:
    """Returns the events up to some positions, the latest last: int32 `[targets, window]`, 0 before the first.

    Args:
        items: int32 `[batch, seq]`.
        query_index: (row, position) of the last event of each, int32 `[targets, 2]`.
        window: How many events.
    """
    width = tf.minimum(tf.shape(items)[1], window)
    column = query_index[:, 1:] - width + 1 + tf.range(width)  # [targets, width]
    found = tf.gather(tf.gather(items, query_index[:, 0]), tf.maximum(column, 0), batch_dims=1)
    return tf.where(column >= 0, found, 0)
