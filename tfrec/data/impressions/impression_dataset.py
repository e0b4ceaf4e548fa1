"""The reader of a dataset directory of impressions."""

from __future__ import annotations

import functools
import json
import os
from contextlib import AbstractContextManager
from pathlib import Path

import tensorflow as tf

from tfrec.data.dataset_files import COPY_AGAIN, check_digests, check_sizes, explained_data_loss
from tfrec.data.impressions.fields import FieldEncoder
from tfrec.data.impressions.impression_manifest import ImpressionManifest, ImpressionSplit
from tfrec.data.manifest import MANIFEST_NAME
from tfrec.data.schema import DatasetSchema
from tfrec.errors import ConfigError, DataError, SchemaMismatchError, did_you_mean


class ImpressionDataset:
    """A dataset directory written by `python -m tfrec.convert --impressions SCHEMA.yaml`.

    Open one with `ImpressionDataset.open`.

    Example:
        >>> dataset = ImpressionDataset.open("DS")  # doctest: +SKIP
        >>> dataset.num_rows("train"), dataset.num_clicks("train")  # doctest: +SKIP
        (8000, 147)
    """

    def __init__(self, path: str, manifest: ImpressionManifest, encoder: FieldEncoder) -> None:
        self.path = path
        self.manifest = manifest
        self.encoder = encoder

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ImpressionDataset:
        """Opens a dataset directory and checks that it is whole.

        Raises:
            DataError: No dataset of impressions there, or a file of it is missing or has another size.
        """
        root = Path(path)
        file = root / MANIFEST_NAME
        if not file.is_file():
            raise DataError(
                f"Not a dataset directory: no `{MANIFEST_NAME}` in it.",
                file=root,
                remedy="Write one with `python -m tfrec.convert --impressions SCHEMA.yaml --input FILE --output DIR`.",
            )
        manifest = ImpressionManifest.from_json(file.read_bytes(), file=str(file))
        encoder = FieldEncoder.load(root)
        if encoder.hash != manifest.fields_hash:
            raise DataError("Fields or vocabularies are not those the manifest names.", file=root, remedy=COPY_AGAIN)
        shards = [shard for split in manifest.splits.values() for shard in split.shards]
        check_sizes(str(path), [(shard.path, shard.bytes) for shard in shards])
        return cls(str(path), manifest, encoder)

    @property
    def splits(self) -> list[str]:
        """Names of the splits that have rows, in the order train, valid, test."""
        return list(self.manifest.splits)

    @property
    def schema(self) -> DatasetSchema:
        """Features of the examples."""
        return self.encoder.schema

    def num_rows(self, split: str) -> int:
        """Returns the number of rows of a split."""
        return self._split(split).rows

    def num_clicks(self, split: str) -> int:
        """Returns the number of rows with label 1 of a split."""
        return self._split(split).clicks

    def shard_paths(self, split: str) -> list[str]:
        """Returns the paths of the shards of a split, in the order of the rows."""
        return [f"{self.path}/{shard.path}" for shard in self._split(split).shards]

    @property
    def compression_type(self) -> str:
        """What `tf.data.TFRecordDataset` takes as `compression_type`."""
        return "GZIP" if self.manifest.compression == "gzip" else ""

    @functools.cached_property
    def feature_spec(self) -> dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature]:
        """Features as `tf.io.parse_example` takes them."""
        types = {"int64": tf.int64, "float32": tf.float32}
        return {
            feature.name: tf.io.RaggedFeature(types[feature.dtype], row_splits_dtype=tf.int32)
            if feature.shape == "list"
            else tf.io.FixedLenFeature([], types[feature.dtype])
            for feature in self.schema.features
        }

    def verify(self, split: str | None = None) -> None:
        """Reads every shard (of one split or of all) and compares checksums.

        Raises:
            DataError: A shard differs from what was written.
        """
        names = self.splits if split is None else [split]
        check_digests(self.path, [(shard.path, shard.sha256) for name in names for shard in self._split(name).shards])

    def explain_data_loss(self, split: str | None = None) -> AbstractContextManager[None]:
        """Context in which a damaged shard met while reading becomes a DataError that names it."""
        return explained_data_loss(self.path, lambda: self.verify(split))

    def check_fields(self, expected: FieldEncoder) -> None:
        """Raises SchemaMismatchError unless this dataset was made with the same fields, scalings and vocabularies."""
        if self.encoder.hash == expected.hash:
            return
        differences = expected.schema.diff(self.schema) or ["scalings or lengths differ"]
        raise SchemaMismatchError(
            f"The dataset does not fit the model: {'; '.join(differences)}.",
            file=self.path,
            remedy="Use the dataset the model was trained on, or train on this one.",
        )

    def _split(self, name: str) -> ImpressionSplit:
        if name not in self.manifest.splits:
            raise ConfigError(
                f"The dataset `{self.path}` has no split `{name}`.", remedy=did_you_mean(name, self.manifest.splits)
            )
        return self.manifest.splits[name]


def holds_impressions(path: str | os.PathLike[str]) -> bool:
    """Returns whether a local directory is a dataset of impressions."""
    file = Path(path) / MANIFEST_NAME
    try:
        return json.loads(file.read_bytes()).get("kind") == "impressions" if file.is_file() else False
    except (OSError, ValueError):
        return False
