"""What a model must know about a dataset's features, as a hash, a readable diff and a TensorFlow Metadata schema."""

from __future__ import annotations

import hashlib
from typing import Literal

from google.protobuf import text_format  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec.errors import DataError, SchemaMismatchError

_SEQUENCES, _ITEMS, _USERS = "SEQUENCES", "ITEMS", "USERS"  # TFMD environments: which examples have a feature


class FeatureSpec(BaseModel):
    """One feature of an example.

    Attributes:
        name: Name in the tf.Example.
        dtype: Type of its values there.
        shape: `sequence` = one value per event, `scalar` = exactly one value, `list` = any number of values.
        vocabulary: Name of the vocabulary whose indices the values are.
        vocabulary_size: Ids + 2, when `vocabulary` is set.
        vocabulary_sha256: Hash over its ids in order, when `vocabulary` is set.
        id_type: Type of its raw ids, when `vocabulary` is set.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dtype: Literal["int64", "float32", "string"]
    shape: Literal["sequence", "scalar", "list"]
    vocabulary: str | None = None
    vocabulary_size: int | None = None
    vocabulary_sha256: str | None = None
    id_type: Literal["int64", "string"] | None = None

    def describe(self) -> str:
        """Returns the feature in a few words, for diffs."""
        text = f"{self.shape} of {self.dtype}"
        if self.vocabulary:
            text += f", indices of vocabulary `{self.vocabulary}` (size {self.vocabulary_size}, {self.id_type} ids, "
            text += f"content {(self.vocabulary_sha256 or '')[:12]})"
        return text


class DatasetSchema(BaseModel):
    """The features of a dataset; two datasets with equal hashes can feed the same model.

    Attributes:
        features: Features of the examples of sequences.
        item_features: Features of the examples of items (`items.tfrecord`); empty without item files. `title` is for
            people: it counts neither for the hash nor for differences.
        user_features: Features of the examples of users (`users.tfrecord`); empty without user files.

    Example:
        >>> schema = DatasetSchema(features=[FeatureSpec(name="item", dtype="int64", shape="sequence")])
        >>> schema.diff(schema)
        []
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: list[FeatureSpec]
    item_features: list[FeatureSpec] = Field(default_factory=list)
    user_features: list[FeatureSpec] = Field(default_factory=list)

    @property
    def hash(self) -> str:
        """sha256 (hex) over names, types, shapes and vocabulary contents; independent of the order of features."""
        lines = sorted(feature.model_dump_json() for feature in self.features)
        lines += sorted(
            f"item {feature.model_dump_json()}" for feature in self.item_features if feature.name != "title"
        )
        lines += sorted(f"user {feature.model_dump_json()}" for feature in self.user_features)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def diff(self, other: DatasetSchema) -> list[str]:
        """Returns one readable line per difference, `expected -> received`; empty when the hashes are equal.

        Args:
            other: The received schema; `self` is the expected one.
        """
        mine, theirs = self._named(), other._named()
        lines = []
        for name in sorted(mine.keys() | theirs.keys()):
            if name not in theirs:
                lines.append(f"`{name}`: expected {mine[name].describe()}, missing")
            elif name not in mine:
                lines.append(f"`{name}`: not expected, received {theirs[name].describe()}")
            elif mine[name] != theirs[name]:
                lines.append(f"`{name}`: expected {mine[name].describe()}, received {theirs[name].describe()}")
        return lines

    def without_users(self) -> DatasetSchema:
        """Returns what is left for a model to which a user is his events: neither an index of his nor his features."""
        features = [feature for feature in self.features if feature.name != "user"]
        return DatasetSchema(features=features, item_features=self.item_features)

    def _named(self) -> dict[str, FeatureSpec]:
        named = {feature.name: feature for feature in self.features}
        named |= {f"item.{feature.name}": feature for feature in self.item_features if feature.name != "title"}
        return named | {f"user.{feature.name}": feature for feature in self.user_features}

    def check(self, received: DatasetSchema, *, file: object = None) -> None:
        """Raises SchemaMismatchError, listing every difference, unless `received` has the same hash as this schema."""
        if self.hash != received.hash:
            raise SchemaMismatchError(
                f"The dataset does not fit the model: {'; '.join(self.diff(received))}.",
                file=file,
                remedy="Use the dataset the model was trained on, or train on this one.",
            )

    def to_text(self) -> str:
        """Returns the schema as TensorFlow Metadata text (`schema.pbtxt`), readable by TFDV and TFT."""
        message = schema_pb2.Schema()
        types = {"int64": schema_pb2.INT, "float32": schema_pb2.FLOAT, "string": schema_pb2.BYTES}
        for spec in [*self.features, *self.item_features, *self.user_features]:
            feature = message.feature.add(name=spec.name, type=types[spec.dtype])
            if spec.shape == "scalar":
                feature.shape.dim.add(size=1)
                feature.presence.min_fraction = 1.0
            elif spec.shape == "list":
                feature.value_count.min = 0
            else:
                feature.value_count.min = 1
                feature.presence.min_count = 1
            if spec.vocabulary:
                feature.int_domain.name = spec.vocabulary
                feature.int_domain.min = 0
                feature.int_domain.max = (spec.vocabulary_size or 0) - 1
                feature.int_domain.is_categorical = True
                feature.annotation.comment.append(f"vocabulary_sha256={spec.vocabulary_sha256}")
                feature.annotation.comment.append(f"id_type={spec.id_type}")
        if self.item_features or self.user_features:
            message.default_environment.append(_SEQUENCES)
            for number, feature in enumerate(message.feature[len(self.features) :]):
                feature.in_environment.append(_ITEMS if number < len(self.item_features) else _USERS)
                feature.not_in_environment.append(_SEQUENCES)
        message.represent_variable_length_as_ragged = True
        text: str = text_format.MessageToString(message)
        return text

    @classmethod
    def from_text(cls, text: str, *, file: str = "schema.pbtxt") -> DatasetSchema:
        """Parses TensorFlow Metadata text written by `to_text`.

        Raises:
            DataError: The text is not a schema.
        """
        try:
            message = text_format.Parse(text, schema_pb2.Schema())
        except text_format.ParseError as error:
            raise DataError(f"Not a schema ({error}).", file=file, remedy="Convert the data again.") from error
        names = {schema_pb2.INT: "int64", schema_pb2.FLOAT: "float32", schema_pb2.BYTES: "string"}
        features: list[FeatureSpec] = []
        sides: dict[str, list[FeatureSpec]] = {_ITEMS: [], _USERS: []}
        for feature in message.feature:
            fields: dict[str, object] = dict(comment.split("=", 1) for comment in feature.annotation.comment)
            if feature.HasField("int_domain"):
                fields["vocabulary"] = feature.int_domain.name
                fields["vocabulary_size"] = feature.int_domain.max + 1
            repeated = "sequence" if feature.value_count.min else "list"
            shape = "scalar" if feature.HasField("shape") else repeated
            group = features
            for environment in set(sides).intersection(feature.in_environment):
                group = sides[environment]
            group.append(FeatureSpec(name=feature.name, dtype=names[feature.type], shape=shape, **fields))
        return cls(features=features, item_features=sides[_ITEMS], user_features=sides[_USERS])
