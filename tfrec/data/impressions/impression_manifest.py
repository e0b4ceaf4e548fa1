"""The manifest of a dataset of impressions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tfrec.data.manifest import InnerPath
from tfrec.errors import DataError

FORMAT_VERSION = 1
KIND = "impressions"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImpressionSourceRecord(_Record):
    """One input file; `stamp` is its time of modification."""

    path: str
    format: str
    split: str | None
    bytes: int
    stamp: str
    rows: int


class ImpressionShard(_Record):
    """One shard."""

    path: InnerPath
    rows: int
    clicks: int
    bytes: int
    sha256: str


class ImpressionSplit(_Record):
    """One split."""

    rows: int
    clicks: int
    shards: list[ImpressionShard]


class ImpressionManifest(_Record):
    """What is in a dataset directory of impressions, and what it was made of."""

    kind: Literal["impressions"] = "impressions"
    format_version: int = FORMAT_VERSION
    tfrec_version: str
    sources: list[ImpressionSourceRecord]
    options: dict[str, object]
    fields_hash: str
    schema_hash: str
    compression: Literal["none", "gzip"]
    rows_read: int
    splits: dict[str, ImpressionSplit]

    @classmethod
    def from_json(cls, content: bytes, *, file: str) -> ImpressionManifest:
        """Parses `manifest.json`.

        Raises:
            DataError: It is damaged, of another version, or the manifest of sequences.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"Not the manifest of a dataset of impressions (`{where}`: {first['msg']}).",
                file=file,
                remedy="Convert the data with `python -m tfrec.convert --impressions SCHEMA.yaml`.",
            ) from error
