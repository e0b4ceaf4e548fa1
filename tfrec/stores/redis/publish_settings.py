"""How a publication writes."""

from __future__ import annotations

from dataclasses import dataclass

from tfrec.stores.vector_header import Encoding


@dataclass(frozen=True)
class PublishSettings:
    """How vectors are written.

    Attributes:
        encoding: `float32`, `float16` or `json`.
        ttl_seconds: Lifetime of a version; 0 = for ever.
        keys_per_command: Keys the server takes at once.
        keep: Versions kept, the live one included.
        resume: Go on with an interrupted publication of the same content.
        retry_seconds: How long a server that broke off is waited for.
    """

    encoding: Encoding = "float32"
    ttl_seconds: int = 0
    keys_per_command: int = 1000
    keep: int = 2
    resume: bool = True
    retry_seconds: float = 120.0
