"""What a reader must know about one published version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ValidationError

from tfrec.stores.store_errors import VectorsMismatchError
from tfrec.stores.vector_description import VectorDescription

FORMAT_VERSION = 1
Encoding = Literal["float32", "float16", "json"]
State = Literal["writing", "complete", "withdrawn", "pruning"]


class VectorHeader(VectorDescription):
    """Description of the vectors and of how and where a version of them is stored.

    Attributes:
        format: Version of the layout; readers refuse others.
        version: Name of the version.
        state: `writing` until verified; only `complete` versions are ever live. `withdrawn` after a rollback.
        encoding: `float32` or `float16`: little-endian bytes; `json`: a list of numbers.
        layout: `versioned`: keys contain the version; `flat`: they do not, and are overwritten one by one.
        key_head: What precedes the raw id in a key.
        key_tail: What follows it.
        chunk_rows: Vectors per chunk of the checksum and of the stored list of ids.
        checksum: sha256 over the CRC-32 of every chunk (ids, then stored values); empty until complete.
        created: ISO time of the start.
        completed: ISO time it became live; empty before.
        switch: Number of the switch that made it live, the same for kinds that became live together; 0 before.
        expires_at: Milliseconds since 1970 when all keys expire; 0 = never.
        ttl_seconds: Lifetime asked for; 0 = for ever.
    """

    format: int = FORMAT_VERSION
    version: str
    state: State = "writing"
    encoding: Encoding = "float32"
    layout: Literal["versioned", "flat"] = "versioned"
    key_head: str = ""
    key_tail: str = ""
    chunk_rows: int = 0
    checksum: str = ""
    created: str = ""
    completed: str = ""
    switch: int = 0
    expires_at: int = 0
    ttl_seconds: int = 0

    def to_fields(self) -> dict[str, str]:
        """Returns the header as text fields."""
        return {name: str(value) for name, value in self.model_dump().items()}

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes], *, where: str) -> VectorHeader:
        """Reads a header.

        Args:
            fields: What Redis returned for the hash.
            where: Its key, for messages.

        Raises:
            VectorsMismatchError: It is missing, of another format version or damaged.
        """
        remedy = "Publish the vectors again with `python -m tfrec.publish`."
        if not fields:
            raise VectorsMismatchError("The header is missing: it expired or was removed.", file=where, remedy=remedy)
        text = {name.decode(): value.decode() for name, value in fields.items()}
        if text.get("format") != str(FORMAT_VERSION):
            raise VectorsMismatchError(
                f"The header has format version `{text.get('format', '')}`, this release reads {FORMAT_VERSION}.",
                file=where,
                remedy="Use the tfrec release that wrote it, or publish again.",
            )
        try:
            return cls.model_validate(text)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise VectorsMismatchError(
                f"The header is damaged: `{name}`: {first['msg']}.", file=where, remedy=remedy
            ) from error

    def check(
        self,
        *,
        dim: int | None = None,
        model: str | None = None,
        model_version: str | None = None,
        schema_hash: str | None = None,
    ) -> None:
        """Raises VectorsMismatchError unless the vectors are those a reader expects; None means anything goes."""
        expected = {"dim": dim, "model": model, "model_version": model_version, "schema_hash": schema_hash}
        for name, value in expected.items():
            if value is not None and getattr(self, name) != value:
                raise VectorsMismatchError(
                    f"Version `{self.version}` of the {self.kind} vectors has `{name}` = `{getattr(self, name)}`, "
                    f"expected `{value}`.",
                    remedy="Publish the vectors of the model that is expected, or roll back with --rollback.",
                )
