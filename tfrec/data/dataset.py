"""The reader of a dataset directory."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager

import numpy as np
import tensorflow as tf

from tfrec.data.dataset_files import COPY_AGAIN, check_digests, check_sizes, explained_data_loss, file_size, read_file
from tfrec.data.item_features import ItemFeatures, assemble_item_features
from tfrec.data.manifest import (
    MANIFEST_NAME,
    SCHEMA_NAME,
    ItemsRecord,
    Manifest,
    ShardRecord,
    SplitRecord,
    VocabularyRecord,
)
from tfrec.data.pipeline_options import with_pipeline_options
from tfrec.data.remote_paths import dataset_root, scheme_of
from tfrec.data.schema import DatasetSchema, FeatureSpec
from tfrec.data.sequence_arrays import SequenceArrays
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError, DataError, did_you_mean
from tfrec.public_url import public_url

_READ_BATCH = 4096
_REMOTE_BUFFER = 1 << 23


class InteractionDataset:
    """A dataset directory written by `python -m tfrec.convert`: manifest, schema, vocabularies and TFRecord shards.

    The directory may be local or remote (`gs://`, `s3://`, `http(s)://`, `az://`; see `tfrec.data.remote_paths`). Open
    one with `InteractionDataset.open`.

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
                that is missing or has another size than the manifest says, or a schema that is not the manifest's; an
                unknown scheme, one that needs tensorflow-io where there is none, or a host that does not answer.
        """
        root = dataset_root(path)
        manifest_path = f"{root}/{MANIFEST_NAME}"
        if file_size(manifest_path) is None:
            remedy = "Write one with `python -m tfrec.convert --input FILE --output DIR`."
            what = f"no `{MANIFEST_NAME}` in it"
            if scheme_of(root) == "s3":
                what += ", or it cannot be reached (the S3 client does not tell which)"
            elif not scheme_of(root):
                if tf.io.gfile.isdir(root + ".partial"):
                    remedy = "A conversion to it did not finish: run it again with --resume."
                what = what if tf.io.gfile.isdir(root) else "no such directory"
            raise DataError(f"Not a dataset directory: {what}.", file=root, remedy=remedy)
        manifest = Manifest.from_json(read_file(manifest_path), file=manifest_path)
        schema_path = f"{root}/{SCHEMA_NAME}"
        schema = DatasetSchema.from_text(read_file(schema_path).decode(), file=schema_path)
        if schema.hash != manifest.schema_hash:
            raise DataError("The schema is not the one the manifest names.", file=schema_path, remedy=COPY_AGAIN)
        dataset = cls(root, manifest, schema)
        files: list[ShardRecord | VocabularyRecord | ItemsRecord] = list(manifest.vocabularies.values())
        files += [record for record in (manifest.items, manifest.users) if record]
        files += [shard for split in manifest.splits.values() for shard in split.shards]
        check_sizes(root, [(file.path, file.bytes) for file in files])
        return dataset

    def verify(self, split: str | None = None) -> None:
        """Reads every shard (of one split or of all), every vocabulary and all side features and compares checksums.

        Raises:
            DataError: A file differs from what was written; the message names it.
        """
        names = self.splits if split is None else [split]
        records = [(shard.path, shard.sha256) for name in names for shard in self._split(name).shards]
        records += [(vocabulary.path, vocabulary.sha256) for vocabulary in self.manifest.vocabularies.values()]
        sides = (self.manifest.items, self.manifest.users)
        records += [(record.path, record.sha256) for record in sides if record]
        check_digests(self.path, records)

    def explain_data_loss(self, split: str | None = None) -> AbstractContextManager[None]:
        """Context in which a damaged shard met while reading becomes a DataError that names it."""
        return explained_data_loss(self.path, lambda: self.verify(split))

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
            name: `item`, `user` when the log had a user column, or a side feature (category or list).

        Raises:
            ConfigError: There is no such vocabulary.
            DataError: The file is damaged or not the one in the manifest.
        """
        records = self.manifest.vocabularies
        if name not in records:
            raise ConfigError(f"The dataset has no vocabulary `{name}`.", remedy=did_you_mean(name, records))
        path = f"{self.path}/{records[name].path}"
        vocabulary = Vocabulary.from_parquet(read_file(path), file=path)
        if vocabulary.content_hash != records[name].content_sha256:
            raise DataError("The vocabulary is not the one the manifest names.", file=path, remedy=COPY_AGAIN)
        return vocabulary

    @property
    def event_features(self) -> list[str]:
        """Names of the features of events besides item and time, each with a vocabulary of its own."""
        return [
            feature.name
            for feature in self.schema.features
            if feature.shape == "sequence" and feature.vocabulary not in (None, "item")
        ]

    @property
    def has_item_features(self) -> bool:
        """Whether the dataset was converted with item files."""
        return self.manifest.items is not None

    def item_features(self) -> ItemFeatures:
        """Reads the side features and titles of all items into memory; a million items take some seconds.

        Raises:
            ConfigError: The dataset has none.
            DataError: The file is damaged.
        """
        return self._side_features("item", self.manifest.items, self.schema.item_features)

    @property
    def has_user_features(self) -> bool:
        """Whether the dataset was converted with user files."""
        return self.manifest.users is not None

    def user_features(self) -> ItemFeatures:
        """Reads the side features of all users into memory, by user index.

        Raises:
            ConfigError: The dataset has none.
            DataError: The file is damaged.
        """
        return self._side_features("user", self.manifest.users, self.schema.user_features)

    def _side_features(self, noun: str, record: ItemsRecord | None, specs: list[FeatureSpec]) -> ItemFeatures:
        if record is None:
            raise ConfigError(
                f"The dataset `{public_url(self.path)}` has no {noun} features.",
                remedy=f"Convert the data again with --{noun}s FILE.",
            )
        spec = parse_spec(specs)
        path = f"{self.path}/{record.path}"
        parsed = self.records([path]).batch(_READ_BATCH).map(lambda serialized: tf.io.parse_example(serialized, spec))
        batches = []
        with self.explain_data_loss():
            for batch in with_pipeline_options(parsed.prefetch(2)):
                batches.append(
                    {
                        name: (value.flat_values.numpy(), value.row_lengths().numpy())
                        if isinstance(value, tf.RaggedTensor)
                        else value.numpy()
                        for name, value in batch.items()
                    }
                )
        sizes = {name: vocabulary.size for name, vocabulary in self.manifest.vocabularies.items()}
        return assemble_item_features(batches, record, sizes, known="known" if noun == "item" else "user_known")

    @property
    def compression_type(self) -> str:
        """What `tf.data.TFRecordDataset` takes as `compression_type`."""
        return "GZIP" if self.manifest.compression == "gzip" else ""

    def records(self, paths: list[str] | tf.Tensor) -> tf.data.Dataset:
        """Returns the serialized examples of some shards, in order; remote ones are read in pieces of 8 MiB.

        Args:
            paths: Paths of shards.

        Returns:
            A `tf.data.Dataset` of string scalars.
        """
        buffer = _REMOTE_BUFFER if scheme_of(self.path) else None
        return tf.data.TFRecordDataset(paths, compression_type=self.compression_type, buffer_size=buffer)

    @property
    def feature_spec(self) -> dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature]:
        """Features as `tf.io.parse_example` takes them: ragged for sequences, one value for scalars."""
        return parse_spec(self.schema.features)

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
        records = self.records(self.shard_paths(split))
        parsed = records.batch(_READ_BATCH).map(lambda serialized: tf.io.parse_example(serialized, spec))
        with self.explain_data_loss(split):
            batches = list(with_pipeline_options(parsed.prefetch(2)))
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
                f"The dataset `{public_url(self.path)}` has no split `{name}`.",
                remedy=did_you_mean(name, self.manifest.splits),
            )
        return self.manifest.splits[name]


def parse_spec(features: Iterable[FeatureSpec]) -> dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature]:
    """Returns how examples with these features are parsed: scalars as they are, everything else ragged."""
    types = {"int64": tf.int64, "float32": tf.float32, "string": tf.string}
    return {
        feature.name: tf.io.FixedLenFeature([], types[feature.dtype])
        if feature.shape == "scalar"
        else tf.io.RaggedFeature(types[feature.dtype], row_splits_dtype=tf.int64)
        for feature in features
    }
