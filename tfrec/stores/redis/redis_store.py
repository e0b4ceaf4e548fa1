"""Vectors in a Redis server: published, rolled back, pruned."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from redis import exceptions

from tfrec.errors import ConfigError
from tfrec.stores.redis.embedding_reader import EmbeddingReader
from tfrec.stores.redis.key_template import KeyTemplate
from tfrec.stores.redis.lease import Lease
from tfrec.stores.redis.prune_versions import prune_versions, superfluous_versions
from tfrec.stores.redis.publication import Publication, new_version, now_text
from tfrec.stores.redis.publish_settings import PublishSettings
from tfrec.stores.redis.redis_address import RedisAddress
from tfrec.stores.redis.redis_failures import Patience, explained
from tfrec.stores.redis.store_keys import StoreKeys
from tfrec.stores.redis.version_switch import roll_back, switch
from tfrec.stores.store_errors import StoreError, VectorsMismatchError
from tfrec.stores.vector_description import Kind
from tfrec.stores.vector_header import VectorHeader
from tfrec.stores.vector_source import VectorSource
from tfrec.stores.vector_store import Published, Report

_FIRST_CONTACT_SECONDS = 5.0
_ROUNDS = 3
_OLDEST = (6, 2)
_Result = TypeVar("_Result")


class RedisVectorStore:
    """`VectorStore` in Redis 6.2 or later.

    A version is written beside the live one, counted and sampled, and then made live in one step; readers are never
    disturbed. After `kill -9`, publishing the same content again goes on where it stopped. When the connection breaks
    off or the server is restarted, it is waited for, and what it lost is written again.

    Args:
        address: The server, a URL or a `RedisAddress`. Default: environment variable `TFREC_REDIS_URL`.
        template: Names of keys.
        settings: How to write.

    Example:
        >>> store = RedisVectorStore("redis://localhost:6379/0")  # doctest: +SKIP
        >>> store.publish([VectorDirectory("vectors/items")])[0].header.version  # doctest: +SKIP
        '20260102T030405Z-1f2e3d'
    """

    def __init__(
        self,
        address: RedisAddress | str | None = None,
        *,
        template: KeyTemplate | None = None,
        settings: PublishSettings | None = None,
    ) -> None:
        self.address = address if isinstance(address, RedisAddress) else RedisAddress(address)
        self.template = template or KeyTemplate()
        self.settings = settings or PublishSettings()
        self._client = self.address.client()
        self._lease_key = StoreKeys(self.template.store_prefix, "").lease

    def publish(self, sources: Sequence[VectorSource], report: Report | None = None) -> list[Published]:
        """Writes a version of every source, verifies all, makes them live together and prunes old ones.

        Args:
            sources: Vectors of different kinds.
            report: See `Report`.

        Returns:
            What was done, in the order of the sources.

        Raises:
            ConfigError: Users and items would have the same keys, or there is nothing to publish.
            DataError: The vectors cannot be stored as asked.
            StoreError: The server refuses, cannot be reached, loses keys again and again, or another publication is
                running. The live version stays live.
        """
        kinds = [source.description.kind for source in sources]
        if len(kinds) > 1 and not self.template.has_kind:
            raise ConfigError(
                f"With the key template `{self.template.template}` users and items would have the same keys.",
                remedy="Publish one of them, or add `{kind}`.",
            )
        for source in sources:
            if not source.description.count:
                raise ConfigError(f"There are no {source.description.kind} vectors to publish.")
        tell: Report = report or (lambda stage, kind, done, total: None)
        started, name = time.perf_counter(), new_version()
        parts = [Publication(source, self.template, self.settings, name, tell) for source in sources]
        patience = self._patience()
        lease = Lease(self._lease_key)
        try:
            previous = _patiently(patience, lambda: self._attempt(parts, lease, patience, tell))
            seconds = time.perf_counter() - started
            finished = _patiently(patience, lambda: self._prune(parts, lease, tell))
        finally:
            with suppress(exceptions.RedisError):
                lease.release(self._client)
        return [
            Published(
                header,
                before or None,
                part.value_bytes,
                part.written,
                part.resumed,
                seconds,
                patience.failures,
                gone,
            )
            for part, before, (header, gone) in zip(parts, previous, finished, strict=True)
        ]

    def check_server(self) -> None:
        """Raises StoreError unless the server answers, accepts user and password, and is recent enough."""
        _patiently(self._patience(), lambda: self._check_version(self._client))

    def rollback(self, kinds: Sequence[Kind]) -> list[tuple[str, str]]:
        """See `VectorStore`."""
        with explained(self.address):
            return roll_back(self._client, [self._keys(kind) for kind in kinds])

    def prune(self, kind: Kind, keep: int, *, dry_run: bool = False) -> list[str]:
        """See `VectorStore`; unfinished versions go too, unless a publication is running.

        Raises:
            ConfigError: `keep` is below 1.
            StoreError: A publication is running, or the server refuses.
        """
        if keep < 1:
            raise ConfigError(f"At least the live version is kept; received {keep}.")
        if dry_run:
            with explained(self.address):
                return superfluous_versions(self._client, self._keys(kind), keep)
        with explained(self.address), Lease(self._lease_key).held(self._client):
            return prune_versions(self._client, self._keys(kind), self.template, keep)

    def reader(self, kind: Kind, **expected: Any) -> EmbeddingReader:
        """Returns a reader of the live version; see `EmbeddingReader` for what may be expected of it."""
        return EmbeddingReader(self.address, kind, prefix=self.template.store_prefix, **expected)

    def live_versions(self) -> dict[Kind, str]:
        """Returns the live versions of the vectors of users and items, as far as they were published."""
        kinds: tuple[Kind, ...] = ("users", "items")
        with explained(self.address):
            found = self._client.mget([self._keys(kind).live for kind in kinds])
        return {kind: name.decode() for kind, name in zip(kinds, found, strict=True) if name is not None}

    def newest_kinds(self) -> list[Kind]:
        """Returns the kinds that became live last, together: those that can be rolled back together."""
        switches = {kind: int(number or 0) for kind, number in self._live_fields("switch").items()}
        return [kind for kind, number in switches.items() if number == max(switches.values())]

    def live_models(self) -> dict[Kind, str]:
        """Returns the `model_version` of the live vectors of each kind, '' where it is not known."""
        return {kind: (name or b"").decode() for kind, name in self._live_fields("model_version").items()}

    def read_header(self, kind: Kind) -> VectorHeader:
        """Returns the header of the live version.

        Raises:
            VectorsMismatchError: Nothing was published, or the header is missing.
        """
        keys = self._keys(kind)
        with explained(self.address):
            live = self._client.get(keys.live)
            if live is None:
                raise VectorsMismatchError(
                    f"No {kind} vectors are published below the prefix `{keys.prefix}` at {self.address.shown}.",
                    remedy="Publish some with `python -m tfrec.publish`, or name another --prefix.",
                )
            key = keys.header(live.decode())
            return VectorHeader.from_fields(self._client.hgetall(key), where=key)

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _patience(self) -> Patience:
        return Patience(self.address, first_seconds=_FIRST_CONTACT_SECONDS, seconds=self.settings.retry_seconds)

    def _live_fields(self, name: str) -> dict[Kind, bytes | None]:
        """Returns a field of the header of each live version."""
        live = self.live_versions()
        with explained(self.address):
            return {kind: self._client.hget(self._keys(kind).header(version), name) for kind, version in live.items()}

    def _keys(self, kind: Kind) -> StoreKeys:
        return StoreKeys(self.template.store_prefix, kind)

    def _attempt(self, parts: list[Publication], lease: Lease, patience: Patience, tell: Report) -> list[str]:
        """Goes all the way to the switch on unbroken connections; errors of redis-py are the caller's."""
        client = self._client
        self._check_version(client)
        lease.acquire(client)
        patience.progress()

        def between() -> None:
            lease.keep(client)
            patience.progress()

        if all(part.went_live(client) for part in parts):  # the reply to the switch was lost
            return [part.live_before(client) for part in parts]
        for _ in range(_ROUNDS):
            for part in parts:
                part.begin(client)
                part.write(client, between)
            verified = [part.verify(client, between) for part in parts]
            if all(verified):
                for part in parts:
                    tell("switch", part.about.kind, part.about.count, part.about.count)
                lease.acquire(client)
                candidates = [part.candidate() for part in parts]
                previous = switch(client, lease.key, lease.token, now_text(), candidates)
                if previous is not None:
                    for part in parts:
                        tell("live", part.about.kind, part.about.count, part.about.count)
                    return previous
            self._check_lifetime(parts)
        policy = client.info("memory").get("maxmemory_policy", "unknown")
        raise StoreError(
            f"Keys written to Redis at {self.address.shown} are missing or changed, {_ROUNDS} times over.",
            remedy=f"Its eviction policy is `{policy}`: with `noeviction` it says when memory runs out. Check also "
            "that nothing else writes below the prefix.",
        )

    def _check_lifetime(self, parts: list[Publication]) -> None:
        """Says why keys are missing when they have expired while others were being written."""
        seconds, micros = self._client.time()  # that of the server, which ends the keys
        ends = [part.header.expires_at for part in parts if part.header is not None and part.header.expires_at]
        if ends and min(ends) / 1000 <= seconds + micros / 1e6:
            raise StoreError(
                f"The publication took longer than the {self.settings.ttl_seconds:,} s that its keys are to live.",
                remedy="Raise --ttl.",
            )

    def _prune(self, parts: list[Publication], lease: Lease, tell: Report) -> list[tuple[VectorHeader, list[str]]]:
        lease.acquire(self._client)
        removed = []
        for part in parts:
            tell("prune", part.about.kind, 0, 0)
            header = part.finished_header(self._client)
            removed.append((header, prune_versions(self._client, part.keys, self.template, self.settings.keep)))
        return removed

    def _check_version(self, client: Any) -> None:
        told = client.info("server")
        version = str(told.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise StoreError(
                f"Redis at {self.address.shown} is version {version}; 6.2 or later is needed.",
                remedy="Upgrade the server.",
            )


def _patiently(patience: Patience, action: Callable[[], _Result]) -> _Result:
    while True:
        try:
            return action()
        except exceptions.RedisError as error:
            patience.wait(error)
