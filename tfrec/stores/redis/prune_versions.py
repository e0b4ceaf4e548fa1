"""Removal of versions that nobody needs any more."""

from __future__ import annotations

import re
from typing import Any

from tfrec.stores.redis.key_template import KeyTemplate
from tfrec.stores.redis.store_keys import StoreKeys
from tfrec.stores.redis.version_switch import give_up

_BATCH = 1000
_GLOB_SIGNS = re.compile(rb"[\\*?\[\]]")


def prune_versions(client: Any, keys: StoreKeys, template: KeyTemplate, keep: int) -> list[str]:
    """Removes all versions of a kind but the live one and the `keep - 1` that were live before it.

    Keys are found by one pass of SCAN over the database and removed in batches by UNLINK, so that the server goes on
    answering. Only keys that begin as those of the removed versions do are touched. Vectors with keys without versions
    stay; their headers and lists of ids go.

    Args:
        client: A `redis.Redis`.
        keys: Keys of the kind.
        template: Names of keys, for versions that have lost their header.
        keep: Versions kept; at least 1.

    Returns:
        Names of the removed versions.
    """
    removed = [name for name in superfluous_versions(client, keys, keep) if give_up(client, keys, name)]
    if not removed:
        return []
    ours: list[tuple[bytes, bytes]] = []
    for version in removed:
        ours.append((keys.ids_head(version).encode(), b""))
        layout, head, tail = client.hmget(keys.header(version), "layout", "key_head", "key_tail")
        if layout is None and template.versioned:
            head, tail = (part.encode() for part in template.parts(keys.kind, version))
        elif layout != b"versioned":
            continue
        ours.append((head, tail))
    _unlink_all(client, ours)
    for version in removed:
        client.unlink(keys.header(version), keys.progress(version))
        client.zrem(keys.versions, version)
    return removed


def superfluous_versions(client: Any, keys: StoreKeys, keep: int) -> list[str]:
    """Returns the names of the versions that are neither live nor among the `keep` latest that were."""
    kept = {name.decode() for name in client.lrange(keys.history, 0, keep - 1)}
    live = client.get(keys.live)
    kept |= {live.decode()} if live is not None else set()
    known = [name.decode() for name in client.zrange(keys.versions, 0, -1)]
    return [name for name in known if name not in kept]


def _unlink_all(client: Any, ours: list[tuple[bytes, bytes]]) -> None:
    heads = [head for head, _ in ours]
    first, last = min(heads), max(heads)
    common = first[: next((at for at, sign in enumerate(first) if last[at : at + 1] != bytes([sign])), len(first))]
    pattern = _GLOB_SIGNS.sub(rb"\\\g<0>", common) + b"*"
    batch: list[bytes] = []
    for key in client.scan_iter(match=pattern, count=_BATCH):
        if any(key.startswith(head) and key.endswith(tail) for head, tail in ours):
            batch.append(key)
            if len(batch) == _BATCH:
                client.unlink(*batch)
                batch = []
    if batch:
        client.unlink(*batch)
