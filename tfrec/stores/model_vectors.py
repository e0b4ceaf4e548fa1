"""Vectors of the users and items of a trained model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.data.dataset import InteractionDataset
from tfrec.data.index_translation import IndexTranslation
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.data.vocabulary import FIRST_INDEX
from tfrec.errors import ConfigError, did_you_mean
from tfrec.evaluation.compiled_method import compiled_method
from tfrec.models.history_batch import HistoryBatch, history_batch
from tfrec.models.sequence_recommender import FactorisedRecommender
from tfrec.public_url import public_url
from tfrec.stores.latest_sequences import LatestSequences, latest_sequences, raw_ids
from tfrec.stores.vector_description import Kind, VectorDescription
from tfrec.stores.vector_directory import VectorDirectoryWriter
from tfrec.stores.vector_source import ArraySource
from tfrec.training.model_store import LoadedRun
from tfrec.training.run_manifest import dataset_fingerprint

_BATCH = 256


class ModelVectors:
    """Item vectors, and user vectors from the latest history of every user.

    Args:
        loaded: A trained model.
        dataset: The data set whose users are encoded, of the schema the model was trained with.
        splits: Where users are looked for, the most important first; see `user_splits`.
        translation: What turns indices of the data set into those of the model, where its vocabularies are others;
            then there are vectors of users only.
        normalise: Scale every vector to length 1 (zero vectors stay zero).
        append_bias: Append the bias to item vectors and 1 to user vectors, so that their products are the scores.

    Raises:
        ConfigError: The model has no vectors whose products are scores.
    """

    def __init__(
        self,
        loaded: LoadedRun,
        dataset: InteractionDataset,
        splits: list[str],
        *,
        translation: IndexTranslation | None = None,
        normalise: bool = False,
        append_bias: bool = False,
    ) -> None:
        model = loaded.model.vector_part
        if model is None:
            raise ConfigError(
                f"The model `{loaded.model.registered_name}` has no vectors whose products are scores.",
                remedy="Publish a model such as gru4rec, sasrec or two_tower.",
            )
        if normalise and append_bias:
            raise ConfigError("Vectors with their bias appended cannot be normalised: products would change.")
        self._loaded = loaded
        self._model: FactorisedRecommender = model
        self._dataset = dataset
        self._splits = splits
        self._translation = translation
        self._normalise = normalise
        self._append_bias = append_bias
        self._latest: LatestSequences | None = None

    def describe(self, kind: Kind) -> VectorDescription:
        """Returns what the vectors of a kind will be."""
        columns = self._dataset.manifest.columns
        if kind == "memories":
            return self.memories().description
        items = kind == "items"
        count = self._dataset.item_vocabulary.size - FIRST_INDEX if items else self._users().count
        fingerprint = dataset_fingerprint(self._dataset)
        del fingerprint["path"]
        parts = [kind, self._loaded.checkpoint, self._normalise, self._append_bias]
        parts += [fingerprint["schema_hash"]] if items else [fingerprint, self._splits]
        return VectorDescription(
            kind=kind,
            count=count,
            dim=self._model.vector_dim + int(self._append_bias),
            id_type=self._dataset.item_vocabulary.id_type if items else columns.user_id_type,
            model=self._loaded.model.registered_name,
            model_version=self._loaded.checkpoint,
            schema_hash=self._dataset.schema.hash if self._translation is None else self._translation.schema_hash,
            normalised=self._normalise,
            bias_appended=self._append_bias,
            origin=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
        )

    def items(self) -> ArraySource:
        """Returns the vectors of all items of the vocabulary, the most frequent item first."""
        vectors, bias = self._model.item_table()
        table = vectors.numpy()[FIRST_INDEX:]  # [items, dim]
        finished = self._finished(table, bias.numpy()[FIRST_INDEX:])
        return ArraySource(self.describe("items"), pa.array(self._dataset.item_vocabulary.ids), finished)

    def memories(self) -> ArraySource:
        """Returns the memories of the users that have one, by their raw ids.

        Raises:
            ConfigError: The model remembers no users.
        """
        memory = getattr(self._loaded.model, "memory", None)
        if memory is None:
            raise ConfigError(
                f"The model `{self._loaded.model.registered_name}` has no memories of users.",
                remedy="Publish --what both, or train ur4rec with `model.memory.enabled=true`.",
            )
        table = memory.vectors.numpy()[FIRST_INDEX:]  # [users, dim]
        used = table.any(axis=1)
        users = self._dataset.vocabulary("user")
        parts = ["memories", self._loaded.checkpoint, users.content_hash]
        about = VectorDescription(
            kind="memories",
            count=int(used.sum()),
            dim=int(table.shape[1]),
            id_type=users.id_type,
            model=self._loaded.model.registered_name,
            model_version=self._loaded.checkpoint,
            schema_hash=self._dataset.schema.hash,
            origin=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
        )
        return ArraySource(about, pa.array(users.ids).filter(pa.array(used)), table[used])

    def write_users(self, writer: VectorDirectoryWriter, progress: Callable[[int], None]) -> None:
        """Encodes every user after his latest history, as an export's `encode_user` does, and writes the vectors.

        A user in whose history the model knows no item has a vector of zeros.

        Args:
            writer: Takes them, in the order of splits and files.
            progress: Called with the number of users done.
        """
        done = 0
        window = self._model.history_window
        encode = compiled_method(self._model, "encode_targets")
        for split, chosen in self._users().chosen.items():
            batches = sequence_dataset(self._dataset, split, _BATCH, max_length=max(2, window))
            at = 0
            with self._dataset.explain_data_loss(split):
                for batch in batches:
                    size = int(batch["length"].shape[0])
                    rows = np.flatnonzero(chosen[at : at + size])
                    at += size
                    if not len(rows):
                        continue
                    own = {name: tf.gather(value, rows) for name, value in batch.items()}
                    own = own if self._translation is None else self._translation(own)
                    ids = raw_ids(own.pop("user_id").numpy())
                    prepared, cold = self._after_history(own)
                    states = tf.where(cold[:, tf.newaxis], 0.0, encode(prepared)).numpy()  # [users, dim]
                    writer.write(ids, self._finished(states, np.ones(len(rows), np.float32)))
                    done += len(rows)
                    progress(done)

    def _after_history(self, batch: dict[str, tf.Tensor]) -> HistoryBatch:
        """Makes the position after the last event the only target, so that the whole sequence is history."""
        asked = self._model.request_features
        return history_batch(
            batch["item"],
            batch["length"],
            window=self._model.history_window,
            timestamps=batch["timestamp"] if "timestamp" in asked else None,
            users=batch["user"] if "user" in asked else None,
            features={name: batch[name] for name in self._model.event_vocabularies},
        )

    def _users(self) -> LatestSequences:
        if self._latest is None:
            self._latest = latest_sequences(self._dataset, self._splits)
        return self._latest

    def _finished(self, vectors: NDArray[np.float32], last: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._append_bias:
            return np.concatenate([vectors, last[:, np.newaxis]], axis=1)
        if self._normalise:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return vectors


def user_splits(dataset: InteractionDataset, split: str) -> list[str]:
    """Returns the splits in which users are looked for.

    Args:
        dataset: An open data set.
        split: A name; or `latest`, all of them from test to train: each user is taken from the first that has him.

    Raises:
        ConfigError: No such split.
    """
    if split == "latest":
        return list(reversed(dataset.splits))
    if split not in dataset.splits:
        raise ConfigError(
            f"The data set `{public_url(dataset.path)}` has no split `{split}`.",
            remedy=did_you_mean(split, [*dataset.splits, "latest"]),
        )
    return [split]
