"""Reading published vectors."""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import ConfigError
from tfrec.raw_ids import is_raw_id
from tfrec.stores.nearest_vectors import Metric, NearestVectors, Neighbour
from tfrec.stores.redis.key_template import DEFAULT_PREFIX
from tfrec.stores.redis.redis_address import RedisAddress
from tfrec.stores.redis.redis_failures import explained
from tfrec.stores.redis.store_keys import StoreKeys
from tfrec.stores.store_errors import StoreError, VectorsMismatchError
from tfrec.stores.vector_description import Kind
from tfrec.stores.vector_encoding import decode_vectors
from tfrec.stores.vector_header import VectorHeader
from tfrec.stores.vector_store import VectorBatch

_ATTEMPTS = 5
_RETRIES = 3


class EmbeddingReader:
    """Reads the live version of the user or item vectors, however often it is replaced.

    Every call asks which version is live. Keys contain the version, so that the vectors of one call are of one version;
    when that version is replaced and pruned during the call, all of them are read again from the new one. (With keys
    without versions, see `KeyTemplate`, vectors of two publications may meet.)

    Args:
        address: The server: a URL, a `RedisAddress`, or a `redis.Redis` that answers with bytes. Default: environment
            variable `TFREC_REDIS_URL`.
        kind: `users` or `items`.
        prefix: Prefix of the store.
        dim: Expected number of components; like the following, checked whenever the version changes.
        model: Expected name of the model.
        model_version: Expected checkpoint. Users and items that are compared must have the same.
        schema_hash: Expected schema hash of the data set.
        batch_size: Keys per MGET.

    Raises:
        StoreError: The server cannot be reached or refuses.
        VectorsMismatchError: Nothing is published, the header is missing, or the vectors are not the expected ones.

    Example:
        >>> reader = EmbeddingReader("redis://localhost:6379/0", "items", dim=128)  # doctest: +SKIP
        >>> reader.get(214716935).shape  # doctest: +SKIP
        (128,)
        >>> reader.top_k(214716935, k=3)[0]  # doctest: +SKIP
        Neighbour(id=214832672, score=0.93)
    """

    def __init__(
        self,
        address: Any,
        kind: Kind,
        *,
        prefix: str = DEFAULT_PREFIX,
        dim: int | None = None,
        model: str | None = None,
        model_version: str | None = None,
        schema_hash: str | None = None,
        batch_size: int = 1000,
    ) -> None:
        if kind not in typing.get_args(Kind):
            raise ConfigError(f"There are vectors of `users` and of `items`, and `memories`; received `{kind}`.")
        if address is None or isinstance(address, str):
            address = RedisAddress(address)
        elif not isinstance(address, RedisAddress) and address.get_encoder().decode_responses:
            raise ConfigError("The Redis client decodes answers as text.", remedy="Pass decode_responses=False.")
        self._shown = address if isinstance(address, RedisAddress) else RedisAddress("redis://client")
        self._client = address.client(retries=_RETRIES) if isinstance(address, RedisAddress) else address
        self._keys = StoreKeys(prefix, kind)
        self._expected = {"dim": dim, "model": model, "model_version": model_version, "schema_hash": schema_hash}
        self._batch_size = batch_size
        self._nearest: NearestVectors | None = None
        self._nearest_version = ""
        with explained(self._shown):
            self._header = self._read_header(self._live(self._client.get(self._keys.live)))

    @property
    def header(self) -> VectorHeader:
        """Header of the version read last."""
        return self._header

    @property
    def version(self) -> str:
        """Name of the version read last."""
        return self._header.version

    def is_stale(self) -> bool:
        """Whether another version has become live since the last call."""
        with explained(self._shown):
            return self._live(self._client.get(self._keys.live)) != self.version

    def get(self, identity: Any) -> NDArray[np.float32] | None:
        """Returns the vector of a raw id, float32 `[dim]`; None when it has none."""
        batch = self.get_many([identity])
        return batch.vectors[0] if batch.found[0] else None

    def get_many(self, ids: Sequence[Any]) -> VectorBatch:
        """Returns the vectors of raw ids, all of one version.

        Args:
            ids: Raw ids `[n]`, integers or strings as published.

        Raises:
            ConfigError: An id is not of the published type.
        """
        with explained(self._shown):
            for _ in range(_ATTEMPTS):
                batch = self._read_at(ids)
                if batch is not None:
                    return batch
        raise StoreError(f"The live version of the {self._keys.kind} vectors changed {_ATTEMPTS} times while reading.")

    def top_k(self, query: Any, k: int = 10, *, metric: Metric = "cosine") -> list[Neighbour]:
        """Returns the nearest vectors, best first; equal scores in the order of publication.

        The first call after a version became live loads all vectors into memory.

        Args:
            query: A vector, `[dim]` as a numpy array or list, or a raw id, which is then left out.
            k: How many.
            metric: `cosine` or `dot`. With `bias_appended` in the header, cosines leave the bias out and products are
                the model's scores.

        Raises:
            ConfigError: The id has no vector, or the query has another number of components.
        """
        nearest = self._load()
        if isinstance(query, np.ndarray | list):
            return nearest.search(np.asarray(query, np.float32), k, metric=metric)
        self._text(query)
        row = nearest.row(query)
        if row is None:
            raise ConfigError(f"There is no vector of `{query}` in version `{self.version}`.")
        return nearest.search(nearest.vectors[row], k, metric=metric, without=row)

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _live(self, name: bytes | None) -> str:
        if name is None:
            raise VectorsMismatchError(
                f"No {self._keys.kind} vectors are published below the prefix `{self._keys.prefix}`.",
                remedy="Publish some with `python -m tfrec.publish`, or name another prefix.",
            )
        return name.decode()

    def _read_header(self, version: str) -> VectorHeader:
        for _ in range(_ATTEMPTS):
            key = self._keys.header(version)
            fields = self._client.hgetall(key)
            now = self._live(self._client.get(self._keys.live))
            if now == version:
                header = VectorHeader.from_fields(fields, where=key)
                header.check(**self._expected)  # type: ignore[arg-type]
                return header
            version = now
        raise StoreError(f"The live version of the {self._keys.kind} vectors changed {_ATTEMPTS} times while reading.")

    def _read_at(self, ids: Sequence[Any]) -> VectorBatch | None:
        """Reads from the version known; None when it was replaced before or while some of its vectors were missing."""
        header = self._header
        keys = [header.key_head + self._text(identity) + header.key_tail for identity in ids]
        values: list[bytes | None] = []
        now = header.version
        for start in range(0, max(1, len(keys)), self._batch_size):
            part = keys[start : start + self._batch_size]
            pipeline = self._client.pipeline(transaction=False)
            if part:
                pipeline.mget(part)
            pipeline.get(self._keys.live)  # behind the vectors: if it is still live, none of them was pruned before
            *found, live = pipeline.execute()
            now = self._live(live)
            values += found[0] if found else []
            if now != header.version and (start == 0 or None in values):
                self._header = self._read_header(now)
                return None
        there = np.array([value is not None for value in values], np.bool_)
        vectors = np.zeros((len(keys), header.dim), np.float32)
        if there.any():
            present = [value for value in values if value is not None]
            vectors[there] = decode_vectors(present, header.encoding, header.dim)
        return VectorBatch(header.version, vectors, there)

    def _text(self, identity: Any) -> str:
        if not is_raw_id(identity, self._header.id_type):
            name = "int64 integers" if self._header.id_type == "int64" else "strings"
            raise ConfigError(f"The ids of the {self._keys.kind} are {name}, received `{identity!r}`.")
        return str(identity)

    def _load(self) -> NearestVectors:
        for _ in range(_ATTEMPTS):
            with explained(self._shown):
                live = self._live(self._client.get(self._keys.live))
                if live != self.version:
                    self._header = self._read_header(live)
                header = self._header
                if self._nearest is not None and self._nearest_version == live:
                    return self._nearest
                ids = self._all_ids(header)
                vectors = np.empty((header.count, header.dim), np.float32)
                for start in range(0, header.count, header.chunk_rows):
                    part = ids[start : start + header.chunk_rows]
                    batch = self._read_at(part) if part else None
                    if batch is None or not batch.found.all():
                        break
                    vectors[start : start + len(part)] = batch.vectors
                else:
                    if len(ids) == header.count:
                        self._nearest_version = header.version
                        self._nearest = NearestVectors(ids, vectors, bias_appended=header.bias_appended)
                        return self._nearest
            if not self.is_stale() and self._header.version == header.version:
                raise VectorsMismatchError(
                    f"Version `{header.version}` of the {header.kind} vectors is no longer whole.",
                    remedy="Keys were evicted, removed or have expired: publish again.",
                )
        raise StoreError(f"The live version of the {self._keys.kind} vectors changed {_ATTEMPTS} times while reading.")

    def _all_ids(self, header: VectorHeader) -> list[Any]:
        """Returns all raw ids in the order of publication; fewer when some were pruned meanwhile."""
        ids: list[Any] = []
        for chunk in range(-(-header.count // header.chunk_rows)):
            listed = self._client.get(f"{self._keys.ids_head(header.version)}{chunk}")
            if listed is None:
                break
            ids += np.frombuffer(listed, "<i8").tolist() if header.id_type == "int64" else json.loads(listed)
        return ids
