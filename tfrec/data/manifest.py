"""The manifest of a dataset directory: what is in it, where it came from and the checksums that prove both."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tfrec.errors import DataError

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"
SCHEMA_NAME = "schema.pbtxt"

IdType = Literal["int64", "string"]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith(("/", "\\")) or ":" in parts[0] or ".." in path.replace("\\", "/").split("/"):
        raise ValueError(f"`{path}` is not a path inside the dataset directory")
    return path


InnerPath = Annotated[str, AfterValidator(_inside)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceRecord(_Record):
    """One input file (or in-memory table) of a conversion; `split` is set when the user assigned the file to one."""

    path: str
    format: str
    split: str | None = None
    bytes: int
    sha256: str
    events: int


class ColumnRecord(_Record):
    """Which input column played which role, and how its values were read."""

    user: str | None
    session: str | None
    item: str
    time: str
    user_id_type: IdType
    item_id_type: IdType
    time_unit: str
    time_unit_reason: str


class FilterRecord(_Record):
    """Filters applied before the split: the conditions `where` first, then in the order of the fields."""

    session_gap_seconds: float | None
    drop_consecutive_duplicates: bool
    mode: str
    min_seq_len: int
    min_item_count: int
    where: list[str] = Field(default_factory=list)


class SplitRuleRecord(_Record):
    """How events were assigned to splits.

    `boundaries` are milliseconds since the epoch: an event (or session, see the rule) at or after `valid` or `test`
    belongs to that split. `note` is repeated in every report made from this dataset.
    """

    rule: str
    boundaries: dict[str, int] = Field(default_factory=dict)
    parameters: dict[str, float | int | str | None] = Field(default_factory=dict)
    unknown_items: Literal["drop", "oov", "keep"] = "drop"
    note: str = ""


class CountRecord(_Record):
    """Totals over all splits (each event once), and the events dropped for each reason.

    `items` is what the vocabulary holds, `cold_items` those of them without training events.
    """

    events_read: int
    events: int
    sequences: int
    users: int
    items: int
    cold_items: int = 0
    dropped_events: dict[str, int] = Field(default_factory=dict)
    dropped_sequences: dict[str, int] = Field(default_factory=dict)


class ShardRecord(_Record):
    """One TFRecord file; `path` is relative to the dataset directory."""

    path: InnerPath
    sequences: int
    events: int
    bytes: int
    sha256: str


class SplitRecord(_Record):
    """One split: its size, times in milliseconds since the epoch, sequence lengths and shards in reading order.

    `events` are those in its shards, history of earlier splits included; `own_events` those that belong to it.
    """

    sequences: int
    events: int
    own_events: int | None = None
    targets: int
    unknown_item_events: int
    first_time: int
    last_time: int
    min_length: int
    mean_length: float
    median_length: float
    max_length: int
    shards: list[ShardRecord]


class VocabularyRecord(_Record):
    """One vocabulary file; `size` counts padding and out-of-vocabulary, `content_sha256` covers ids and their order."""

    path: InnerPath
    id_type: IdType
    size: int
    content_sha256: str
    bytes: int
    sha256: str


class ItemFeatureRecord(_Record):
    """One feature of items or users: column and kind; of numbers the statistics over those of training that have one.

    `missing` counts those of the vocabulary without a value; `std` is that of the population.
    """

    name: str
    kind: Literal["category", "list", "number"]
    missing: int
    mean: float | None = None
    std: float | None = None
    minimum: float | None = None
    maximum: float | None = None


class ItemsRecord(_Record):
    """The file of features of items, or of users: one example per index from 2 on; `known` have a row in `sources`."""

    path: InnerPath
    items: int
    known: int
    id_column: str
    title_column: str | None
    features: list[ItemFeatureRecord]
    missing_items: Literal["error", "empty"]
    cold_items: Literal["drop", "keep"]
    sources: list[SourceRecord]
    bytes: int
    sha256: str


class AuditRecord(_Record):
    """What could leak from one split into another; see `tfrec.data.audit` and `tfrec.data.dataset_audit`."""

    sequences_in_several_splits: dict[str, int]
    users_in_several_splits: dict[str, int]
    events_before_latest_training_event: dict[str, int]
    share_before_latest_training_event: dict[str, float]
    unseen_items: dict[str, int]
    unseen_item_events: dict[str, int]
    identical_sequences: dict[str, int]
    targets: dict[str, int] = Field(default_factory=dict)
    targets_before_history: dict[str, int] = Field(default_factory=dict)
    targets_at_history_time: dict[str, int] = Field(default_factory=dict)
    cross_user_future_targets: dict[str, int] = Field(default_factory=dict)
    targets_unseen_at_their_time: dict[str, int] = Field(default_factory=dict)


class Manifest(_Record):
    """Contents of `manifest.json`. The same input, options and seed give the same manifest, byte for byte."""

    format_version: int = FORMAT_VERSION
    kind: Literal["sequence"] = "sequence"
    producer: str
    sources: list[SourceRecord]
    columns: ColumnRecord
    filters: FilterRecord
    split: SplitRuleRecord
    seed: int
    counts: CountRecord
    first_time: int
    last_time: int
    compression: Literal["none", "gzip"]
    sequence_order: Literal["time", "id"] = "time"
    vocabularies: dict[str, VocabularyRecord]
    items: ItemsRecord | None = None
    users: ItemsRecord | None = None
    splits: dict[str, SplitRecord]
    schema_hash: str
    audit: AuditRecord | None = None

    def to_json(self) -> str:
        """Returns the text of `manifest.json`."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, file: str = MANIFEST_NAME) -> Manifest:
        """Parses and checks the text of a manifest.

        Args:
            text: Contents of the file.
            file: Name used in error messages.

        Returns:
            The manifest.

        Raises:
            DataError: Not JSON, an unsupported format version, or fields that are missing, unknown or of the wrong
                type.
        """
        try:
            document = json.loads(text)
        except ValueError as error:
            raise DataError(f"Not valid JSON ({error}).", file=file, remedy="Convert the data again.") from error
        version = document.get("format_version") if isinstance(document, dict) else None
        if version != FORMAT_VERSION:
            raise DataError(
                f"The dataset has format version `{version}`; this tfrec reads version {FORMAT_VERSION}.",
                file=file,
                remedy="Convert the data again with this version, or install the tfrec that wrote it.",
            )
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"Field `{where}` is not as expected: {first['msg']}.", file=file, remedy="Convert the data again."
            ) from error
