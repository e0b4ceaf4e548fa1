"""The store's own keys, apart from those of vectors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StoreKeys:
    """Names of the keys that describe the versions of one kind.

    Args:
        prefix: Prefix of the store.
        kind: `users` or `items`.
    """

    prefix: str
    kind: str

    @property
    def lease(self) -> str:
        """String: who is writing; expires by itself. One per prefix."""
        return f"{self.prefix}:meta:lease"

    @property
    def switches(self) -> str:
        """Number: how often versions became live; headers hold it, so that kinds that did together are known."""
        return f"{self.prefix}:meta:switches"

    @property
    def live(self) -> str:
        """String: the live version."""
        return f"{self.base}live"

    @property
    def history(self) -> str:
        """List: versions in the order of becoming live, the live one first."""
        return f"{self.base}history"

    @property
    def versions(self) -> str:
        """Sorted set: all versions by time of creation."""
        return f"{self.base}versions"

    def header(self, version: str) -> str:
        """Hash: the header of a version."""
        return f"{self.base}header:{version}"

    def progress(self, version: str) -> str:
        """Hash: number of a written chunk to the CRC-32 of its content; only while writing."""
        return f"{self.base}progress:{version}"

    def ids_head(self, version: str) -> str:
        """What precedes the number of a chunk in the keys that hold its raw ids."""
        return f"{self.base}ids:{version}:"

    @property
    def base(self) -> str:
        """What all keys of the kind begin with."""
        return f"{self.prefix}:meta:{self.kind}:"
