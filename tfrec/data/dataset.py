"""The reader of a dataset directory."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from tfrec.data.manifest import MANIFEST_NAME, SCHEMA_NAME, Manifest, SplitRecord
from tfrec.data.schema import DatasetSchema
from tfrec.data.sequence_arrays import SequenceArrays
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError, DataError, did_you_mean

_READ_BATCH = 4096
_CHUNK_BYTES = 1 << 22


class InteractionDataset:
    """A dataset directory written by `python -m tfrec.convert`: manifest, schema, vocabularies and TFRecord shards.

    Paths may be local or anything `tf.io.gfile` reads (`gs://...`). Open one with `InteractionDataset.open`.

    Example:
        >>> dataset = InteractionDataset.open("DS")  # doctest: +SKIP
        >>> dataset.num_sequences("train")  # doctest: +SKIP
        7953
    """

    def __init__(self, path: str, manifest: Manifest, schema: DatasetSchema) -> None:
        self.path = path
        self.manifest = manifest
        self.schema = schema

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> InteractionDataset:
        """Opens a dataset directory and checks that it is whole.

        Args:
            path: The directory.

        Returns:
            The dataset.

        Raises:
            DataError: No dataset there, a conversion that did not finish, an unsupported version, a shard or vocabulary
                that is missing or has another size than the manifest says, or a schema that is not the manifest's.
        """
        root = os.fspath(path).rstrip("/") or "/"
        manifest_path = f"{root}/{MANIFEST_NAME}"
        if not tf.io.gfile.exists(manifest_path):
            if tf.io.gfile.isdir(root + ".partial"):
                remedy = "A conversion to it did not finish: run it again with --resume."
            else:
                remedy = "Write one with `python -m tfrec.convert --input FILE --output DIR`."
            what = f"no `{MANIFEST_NAME}` in it" if tf.io.gfile.isdir(root) else "no such directory"
            raise DataError(f"Not a dataset directory: {what}.", file=root, remedy=remedy)
        manifest = Manifest.from_json(_read(manifest_path), file=manifest_path)
        schema_path = f"{root}/{SCHEMA_NAME}"
        schema = DatasetSchema.from_text(_read(schema_path).decode(), file=schema_path)
        if schema.hash != manifest.schema_hash:
            raise DataError("The schema is not the one the manifest names.", file=schema_path, remedy=_AGAIN)
        dataset = cls(root, manifest, schema)
        for split in manifest.splits.values():
            for shard in split.shards:
                _check_size(f"{root}/{shard.path}", shard.bytes)
        for vocabulary in manifest.vocabularies.values():
            _check_size(f"{root}/{vocabulary.path}", vocabulary.bytes)
        return dataset

    def verify(self, split: str | None = None) -> None:
        """Reads every shard (of one split or of all) and every vocabulary and compares checksums.

        Raises:
            DataError: A file differs from what was written; the message names it.
        """
        names = self.splits if split is None else [split]
        records = [(shard.path, shard.sha256) for name in names for shard in self._split(name).shards]
        records += [(vocabulary.path, vocabulary.sha256) for vocabulary in self.manifest.vocabularies.values()]
        for relative, expected in records:
            path = f"{self.path}/{relative}"
            if _sha256(path) != expected:
                raise DataError(
                    "The file is damaged: its sha256 is not the one in the manifest.", file=path, remedy=_AGAIN
                )

    @contextmanager
    def explain_data_loss(self, split: str | None = None) -> Iterator[None]:
        """Context in which a damaged shard met while reading becomes a DataError that names it."""
        try:
            yield
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
            self.verify(split)
            if isinstance(error, tf.errors.DataLossError):
                raise DataError(f"A shard cannot be read: {error.message}", file=self.path, remedy=_AGAIN) from error
            raise

    def check_schema(self, expected: DatasetSchema) -> None:
        """Raises SchemaMismatchError with a readable diff unless this dataset has the schema `expected`."""
        expected.check(self.schema, file=self.path)

    @property
    def splits(self) -> list[str]:
        """Names of the splits that have sequences, in the order train, valid, test."""
        return list(self.manifest.splits)

    def num_sequences(self, split: str) -> int:
        """Returns the number of sequences of a split."""
        return self._split(split).sequences

    def num_events(self, split: str) -> int:
        """Returns the number of events of a split, history included."""
        return self._split(split).events

    def num_targets(self, split: str) -> int:
        """Returns the number of events of a split that may be predicted."""
        return self._split(split).targets

    def shard_paths(self, split: str) -> list[str]:
        """Returns the paths of the shards of a split in time order."""
        return [f"{self.path}/{shard.path}" for shard in self._split(split).shards]

    @functools.cached_property
    def item_vocabulary(self) -> Vocabulary:
        """The item vocabulary."""
        return self.vocabulary("item")

    def vocabulary(self, name: str) -> Vocabulary:
        """Reads a vocabulary.

        Args:
            name: `item`, or `user` when the log had a user column.

        Raises:
            ConfigError: There is no such vocabulary.
            DataError: The file is damaged or not the one in the manifest.
        """
        records = self.manifest.vocabularies
        if name not in records:
            raise ConfigError(f"The dataset has no vocabulary `{name}`.", remedy=did_you_mean(name, records))
        path = f"{self.path}/{records[name].path}"
        vocabulary = Vocabulary.from_parquet(_read(path), file=path)
        if vocabulary.content_hash != records[name].content_sha256:
            raise DataError("The vocabulary is not the one the manifest names.", file=path, remedy=_AGAIN)
        return vocabulary

    @property
    def compression_type(self) -> str:
        """What `tf.data.TFRecordDataset` takes as `compression_type`."""
        return "GZIP" if self.manifest.compression == "gzip" else ""

    @property
    def feature_spec(self) -> dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature]:
        """Features as `tf.io.parse_example` takes them: ragged for sequences, one value for scalars."""
        types = {"int64": tf.int64, "float32": tf.float32, "string": tf.string}
        return {
            feature.name: tf.io.RaggedFeature(types[feature.dtype], row_splits_dtype=tf.int64)
            if feature.shape == "sequence"
            else tf.io.FixedLenFeature([], types[feature.dtype])
            for feature in self.schema.features
        }

    def load_ragged(self, split: str) -> SequenceArrays:
        """Reads a whole split into memory: for small data, tests and counting models.

        Args:
            split: Name of the split.

        Returns:
            Flat arrays, in shard order (time order).

        Raises:
            DataError: A shard is damaged.
        """
        spec = self.feature_spec
        records = tf.data.TFRecordDataset(self.shard_paths(split), compression_type=self.compression_type)
        parsed = records.batch(_READ_BATCH).map(lambda serialized: tf.io.parse_example(serialized, spec))
        with self.explain_data_loss(split):
            batches = list(parsed.prefetch(2))
        lengths = np.concatenate([batch["item"].row_lengths().numpy() for batch in batches])
        user_ids = np.concatenate([batch["user_id"].numpy() for batch in batches])
        if user_ids.dtype == object:
            user_ids = np.array([text.decode() for text in user_ids], object)
        users = [batch["user"].numpy().astype(np.int32) for batch in batches] if "user" in spec else None
        return SequenceArrays(
            items=np.concatenate([batch["item"].flat_values.numpy().astype(np.int32) for batch in batches]),
            timestamps=np.concatenate([batch["timestamp"].flat_values.numpy() for batch in batches]),
            offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            num_targets=np.concatenate([batch["num_targets"].numpy().astype(np.int32) for batch in batches]),
            user_ids=user_ids,
            users=None if users is None else np.concatenate(users),
        )

    def _split(self, name: str) -> SplitRecord:
        if name not in self.manifest.splits:
            raise ConfigError(
                f"The dataset `{self.path}` has no split `{name}`.", remedy=did_you_mean(name, self.manifest.splits)
            )
        return self.manifest.splits[name]


_AGAIN = "Copy the dataset again from its origin, or convert the data again."


def _read(path: str) -> bytes:
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            content: bytes = file.read()
            return content
    except tf.errors.NotFoundError as error:
        raise DataError("The file is missing from the dataset.", file=path, remedy=_AGAIN) from error


def _check_size(path: str, expected: int) -> None:
    try:
        size = tf.io.gfile.stat(path).length
    except tf.errors.NotFoundError as error:
        raise DataError("The file is named in the manifest but missing.", file=path, remedy=_AGAIN) from error
    if size != expected:
        raise DataError(f"The file has {size:,} bytes, the manifest says {expected:,}.", file=path, remedy=_AGAIN)


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
