"""Indices of one data set in the words of another: both number the same raw ids, each in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.schema import DatasetSchema
from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX, PADDING_INDEX, Vocabulary
from tfrec.errors import DataError, SchemaMismatchError


class IndexTranslation:
    """Turns the indices of batches into those that a model was trained with.

    Args:
        tables: By feature, the model's index of every index of the data set, int32 `[size]`.
        schema_hash: Hash of the schema the model was trained with.

    Attributes:
        unknown: By feature, the number of ids that the model does not know: their index is 1.
    """

    def __init__(self, tables: Mapping[str, NDArray[np.int32]], schema_hash: str) -> None:
        self.schema_hash = schema_hash
        self._tables = {name: tf.constant(table) for name, table in tables.items()}
        self.unknown = {name: int(np.count_nonzero(table[FIRST_INDEX:] == OOV_INDEX)) for name, table in tables.items()}

    @classmethod
    def between(
        cls, dataset: InteractionDataset, expected: DatasetSchema, names: Sequence[str], *, trained: str
    ) -> IndexTranslation:
        """Makes the translation of the features that a model reads.

        Args:
            dataset: What is to be read.
            expected: The schema the model was trained with.
            names: Features with indices, of events and users.
            trained: Directory of the data set the model was trained on, with the vocabularies of that schema.

        Raises:
            DataError: That data set is gone or has changed.
            SchemaMismatchError: A feature is missing, or its ids are of another type.
        """
        features = {feature.name: feature for feature in expected.features}
        known = {feature.name for feature in dataset.schema.features}
        tables = {}
        for name in names:
            if name not in known:
                raise SchemaMismatchError(
                    f"The model reads `{name}`, which the dataset does not have.",
                    file=dataset.path,
                    remedy="Convert the log as that of the training was, with the same --event-features and columns.",
                )
            own, other = dataset.vocabulary(name), _trained_vocabulary(trained, name, features[name].vocabulary_sha256)
            if own.id_type != other.id_type:
                raise SchemaMismatchError(
                    f"The ids of `{name}` are {own.id_type}, those of the training {other.id_type}.",
                    file=dataset.path,
                    remedy="Write the column in the type it had when the training data were converted.",
                )
            tables[name] = np.concatenate(
                [np.array([PADDING_INDEX, OOV_INDEX], np.int32), other.lookup(own.to_arrow())]
            ).astype(np.int32)
        return cls(tables, expected.hash)

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns a batch of `sequence_dataset` with the model's indices; other features stay as they are."""
        return {
            name: tf.cast(tf.gather(self._tables[name], values), values.dtype) if name in self._tables else values
            for name, values in batch.items()
        }


def _trained_vocabulary(trained: str, name: str, content: str | None) -> Vocabulary:
    remedy = "Put the dataset of the run back where it was: it tells what the model's indices stand for."
    try:
        vocabulary = InteractionDataset.open(trained).vocabulary(name)
    except DataError as error:
        raise DataError(error.problem, file=error.file, remedy=remedy) from error
    if vocabulary.content_hash != content:
        raise DataError(f"The vocabulary `{name}` is not that of the run.", file=trained, remedy=remedy)
    return vocabulary
