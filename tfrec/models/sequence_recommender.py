"""What every recommender of this package is: a Keras model that scores the next item of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf
from pydantic import BaseModel

from tfrec.data.dataset import InteractionDataset
from tfrec.data.targets import target_positions
from tfrec.data.vocabulary import Vocabulary

LONGEST_HISTORY = 1000
"""Events of a history that models without a window of their own read when they recommend."""

Batch = Mapping[str, tf.Tensor]
"""A batch of `tfrec.data.sequence_pipeline`: `item` int32 `[batch, length]` padded on the right with 0, `length` int32
`[batch]`, `num_targets` int32 `[batch]`, ..."""


class SequenceRecommender(keras.Model):
    """Base of all models: a configuration, a vocabulary size, `score_targets`, and how they are trained.

    `training_scheme`, a key of `tfrec.config.run_config.RUN_CONFIGS`, selects the training loop and the sections of the
    configuration.

    Args:
        config: Architecture, an instance of the class attribute `config_class`.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of the initial weights.
    """

    config_class: ClassVar[type[BaseModel]]
    registered_name: ClassVar[str]
    training_scheme: ClassVar[str]
    has_vectors: ClassVar[bool] = False
    """Whether models of this class have a `vector_part`, unless it is switched off."""

    def __init__(self, config: BaseModel, vocab_size: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.vocab_size = vocab_size
        self.seed = seed

    @classmethod
    def for_dataset(cls, config: Any, dataset: InteractionDataset, **kwargs: Any) -> SequenceRecommender:
        """Returns a new model for the items (and, where it uses them, the users and item features) of a data set.

        Args:
            config: Architecture.
            dataset: An open data set.
            **kwargs: `seed` and what Keras models take.
        """
        return cls(config, dataset.item_vocabulary.size, **kwargs)

    @property
    def history_window(self) -> int:
        """How many of the latest events of a history the model reads when it recommends."""
        return LONGEST_HISTORY

    @property
    def request_features(self) -> tuple[str, ...]:
        """What the model must be told besides the items of a history.

        `timestamp` of its events, `request_time`, `user`, features of events.
        """
        return ()

    @property
    def event_vocabularies(self) -> dict[str, Vocabulary]:
        """Values of the features of events that the model is told besides item and time, by their names.

        Requests have a list of raw values beside the history for each of them; they are part of `request_features`.
        """
        return {}

    @property
    def vector_part(self) -> FactorisedRecommender | None:
        """What of the model has vectors of users and items, which can be published; None where nothing has."""
        return None

    @property
    def scored_parts(self) -> dict[str, str]:
        """Methods that score as `score_targets` does without some parts of the model, by names for people."""
        return {}

    def refresh_items(self, dataset: InteractionDataset) -> None:
        """Takes over what a data set says of items (and users), without training; models that only know ids ignore it.

        Args:
            dataset: A data set with the schema that the model was trained on.
        """

    def score_targets(self, batch: Batch) -> tf.Tensor:
        """Scores all items for every target of the batch from the events before it.

        Args:
            batch: See `Batch`.

        Returns:
            float32 `[targets, vocab_size]`, in the order of `tfrec.data.targets.target_positions`.
        """
        raise TypeError(f"`{type(self).__name__}` does not define `score_targets`.")

    def get_config(self) -> dict[str, Any]:
        return {"config": self.config.model_dump(mode="json"), "vocab_size": self.vocab_size, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: object = None) -> SequenceRecommender:
        settings = dict(config)
        return cls(cls.config_class.model_validate(settings.pop("config")), **settings)


class FactorisedRecommender(SequenceRecommender):
    """Recommender whose score is the product of a state and an item vector, plus a bias.

    Subclasses define `encode` and `item_table`; ranking and export use them without ever holding `[targets,
    vocab_size]` scores of a large catalogue.
    """

    has_vectors = True

    @property
    def vector_part(self) -> FactorisedRecommender | None:
        return self

    def encode(self, batch: Batch) -> tf.Tensor:
        """Returns the state after every event, float32 `[batch, length, dim]`; state t depends on events 0..t only."""
        raise TypeError(f"`{type(self).__name__}` does not define `encode`.")

    def item_table(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns item vectors float32 `[vocab_size, dim]` and biases float32 `[vocab_size]`."""
        raise TypeError(f"`{type(self).__name__}` does not define `item_table`.")

    @property
    def vector_dim(self) -> int:
        """Width of states and item vectors."""
        return int(self.item_table()[0].shape[1])

    def keep_items(self, vectors: tf.Tensor, bias: tf.Tensor) -> None:
        """Takes back what `item_table` returned, for models that work to make it: weights will not change any more."""

    def lookup_items(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns rows of `item_table`: int32 `[...]` -> float32 `[..., dim]` and `[...]`."""
        vectors, bias = self.item_table()
        return tf.gather(vectors, ids), tf.gather(bias, ids)

    def encode_targets(self, batch: Batch) -> tf.Tensor:
        """Returns the state before every target of the batch, float32 `[targets, dim]`."""
        query_index, _ = target_positions(batch)  # [targets, 2]
        return tf.gather_nd(self.encode(batch), query_index)

    def score_targets(self, batch: Batch) -> tf.Tensor:
        vectors, bias = self.item_table()
        return tf.matmul(self.encode_targets(batch), vectors, transpose_b=True) + bias  # [targets, vocab]
