"""What baselines that learn by counting have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import BaseModel

from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_arrays import SequenceArrays
from tfrec.errors import DataError, TrainingError
from tfrec.models.sequence_recommender import Batch, SequenceRecommender

CountTables = dict[str, NDArray[Any]]


class CountingRecommender(SequenceRecommender):
    """Base of models that are counted in one pass instead of trained by gradients.

    What was learnt sits in non-trainable Keras weights, so that such a model is saved, loaded and exported like any
    other. Their shapes depend on the data: they are part of the Keras configuration, and a model built from that
    configuration has weights of the right shapes to load into.

    Args:
        config: Instance of the class attribute `config_class`.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Unused; counting is deterministic.
        table_shapes: Shape of every table, when the model is restored; leave out for a new one.

    Example:
        >>> model = Popularity(PopularityConfig(), dataset.item_vocabulary.size)  # doctest: +SKIP
        >>> model.fit_counts(dataset)  # doctest: +SKIP
        >>> evaluate_ranking(model, sequence_dataset(dataset, "test", 512))  # doctest: +SKIP
    """

    training_scheme = "counts"
    table_dtypes: ClassVar[dict[str, str]] = {}

    def __init__(
        self,
        config: BaseModel,
        vocab_size: int,
        *,
        seed: int = 0,
        table_shapes: Mapping[str, Sequence[int]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self._tables: dict[str, Any] = {}
        if table_shapes is not None:
            self._create_tables(table_shapes)
        self.built = True

    @abstractmethod
    def count(self, sequences: SequenceArrays) -> CountTables:
        """Counts a training split.

        Args:
            sequences: The split in memory; item indices from 2 on.

        Returns:
            One array per name in `table_dtypes`.
        """

    def fit_counts(self, dataset: InteractionDataset, split: str = "train") -> None:
        """Learns from a split of a dataset.

        Args:
            dataset: An open dataset whose item vocabulary has `vocab_size` indices.
            split: The split to count. Default: `train`.

        Raises:
            DataError: The vocabulary has another size, or a shard is damaged.
            TrainingError: The model has been fitted before.
        """
        size = dataset.item_vocabulary.size
        if size != self.vocab_size:
            raise DataError(
                f"The item vocabulary has {size:,} indices, the model was made for {self.vocab_size:,}.",
                file=dataset.path,
                remedy="Make the model with `vocab_size=dataset.item_vocabulary.size`.",
            )
        self.fit_sequences(dataset.load_ragged(split))

    def fit_sequences(self, sequences: SequenceArrays) -> None:
        """As `fit_counts`, from sequences in memory.

        Raises:
            TrainingError: The model has been fitted before.
        """
        if self._tables:
            raise TrainingError(
                f"`{type(self).__name__}` has been fitted already.", remedy="Make a new model for other data."
            )
        tables = self.count(sequences)
        self._create_tables({name: table.shape for name, table in tables.items()})
        for name, table in tables.items():
            self._tables[name].assign(table.astype(self.table_dtypes[name]))

    def table(self, name: str) -> tf.Tensor:
        """Returns what was learnt under `name`.

        Raises:
            TrainingError: The model has not been fitted.
        """
        if not self._tables:
            raise TrainingError(f"`{type(self).__name__}` has not been fitted.", remedy="Call `fit_counts` first.")
        return tf.convert_to_tensor(self._tables[name].value)

    def call(self, batch: Batch) -> tf.Tensor:
        """Returns scores of all items for every target of the batch, float32 `[targets, vocab_size]`."""
        return self.score_targets(batch)

    def get_config(self) -> dict[str, Any]:
        shapes = {name: list(table.shape) for name, table in self._tables.items()}
        return {**super().get_config(), "table_shapes": shapes or None}

    def _create_tables(self, shapes: Mapping[str, Sequence[int]]) -> None:
        for name, dtype in self.table_dtypes.items():
            self._tables[name] = self.add_weight(
                shape=tuple(shapes[name]), dtype=dtype, initializer="zeros", trainable=False, name=name
            )


def popularity_fraction(items: NDArray[np.int32], vocab_size: int) -> NDArray[np.float32]:
    """Returns each item's number of events over the largest such number plus one: in [0, 1), 0 without events.

    Args:
        items: Item index of every training event, `[events]`.
        vocab_size: Number of item indices.

    Returns:
        float32 `[vocab_size]`.
    """
    counts = np.bincount(items, minlength=vocab_size).astype(np.float64)
    counts[:2] = 0.0
    return (counts / (counts.max() + 1.0)).astype(np.float32)
