"""Writing one version of the vectors of one kind, from wherever an earlier attempt stopped."""

from __future__ import annotations

import datetime
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from tfrec.errors import DataError
from tfrec.stores.redis.bulk_channel import BulkChannel, Replies
from tfrec.stores.redis.chunk_content import content_digest, listed_ids, single_value, stored_bytes
from tfrec.stores.redis.command_packing import CommandPacker, RawIds
from tfrec.stores.redis.key_template import KeyTemplate
from tfrec.stores.redis.publish_settings import PublishSettings
from tfrec.stores.redis.store_keys import StoreKeys
from tfrec.stores.redis.version_switch import Candidate
from tfrec.stores.store_errors import VectorsMismatchError
from tfrec.stores.vector_encoding import Values, encode_vectors
from tfrec.stores.vector_header import VectorHeader
from tfrec.stores.vector_source import VectorSource

CHUNK_ROWS = 16_384
_SAMPLES = 4  # vectors compared per chunk


def new_version() -> str:
    """Returns the name of a new version: UTC time and a random part."""
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def now_text() -> str:
    """Returns the UTC time for headers."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


class Publication:
    """One version while it is written and verified; it knows nothing of retries.

    What is written is recorded in Redis chunk by chunk (16,384 vectors), with the CRC-32 of its content, once the
    server has acknowledged it. Every attempt starts from these records, after a broken connection as after a crash.

    Args:
        source: The vectors.
        template: Names of keys.
        settings: How to write.
        name: Name for the version if it is a new one.
        report: Called with stage, kind, vectors done and their number.

    Attributes:
        header: Header of the version; None before `begin`.
        written: Vectors written so far.
        resumed: Vectors that an earlier process had written.
        value_bytes: Bytes of the values written so far.
    """

    def __init__(
        self,
        source: VectorSource,
        template: KeyTemplate,
        settings: PublishSettings,
        name: str,
        report: Callable[[str, str, int, int], None],
    ) -> None:
        self.source = source
        self.about = source.description
        self.keys = StoreKeys(template.store_prefix, self.about.kind)
        self.header: VectorHeader | None = None
        self.written = self.resumed = self.value_bytes = 0
        self._template = template
        self._settings = settings
        self._name = name
        self._report = report
        self._digests: dict[int, str] = {}
        self._recorded: dict[int, str] = {}
        self._first = True
        self._chunks = -(-self.about.count // CHUNK_ROWS)

    def begin(self, client: Any) -> None:
        """Finds the version to go on with, or starts a new one, and reads what is recorded as written."""
        if self.header is None and self._settings.resume:
            self.header = self._interrupted(client)
        if self.header is None:
            self.header = self._new_header()
        key = self.keys.header(self.header.version)
        if not client.exists(key):  # new, or the server has lost everything
            transaction = client.pipeline(transaction=True)
            transaction.hset(key, mapping=self.header.to_fields())
            transaction.zadd(self.keys.versions, {self.header.version: int(time.time() * 1000)})
            transaction.delete(self.keys.progress(self.header.version))
            if self.header.expires_at:
                transaction.pexpireat(key, self.header.expires_at)
            transaction.execute()
        stored = client.hgetall(self.keys.progress(self.header.version))
        self._recorded = {int(number): digest.decode() for number, digest in stored.items()}

    def write(self, client: Any, between: Callable[[], None]) -> None:
        """Writes all chunks that are not recorded with the content they have now.

        Args:
            client: A `redis.Redis`.
            between: Called after every chunk.
        """
        header = self._started()
        with BulkChannel(client) as channel:
            for chunk in range(self._chunks):
                digest = self._digests.get(chunk)
                if digest is None or self._recorded.get(chunk) != digest:
                    self._write_chunk(channel, header, chunk)
                    between()
                self._report("write", self.about.kind, self._stop(chunk), self.about.count)
            channel.drain()
        self._first = False

    def verify(self, client: Any, between: Callable[[], None]) -> bool:
        """Counts the keys on the server and compares some vectors of every chunk.

        Returns:
            Whether everything is there; chunks in which something is missing lose their record.
        """
        header = self._started()
        missing: set[int] = set()
        packer = self._packer(header)
        with BulkChannel(client) as channel:
            for chunk in range(self._chunks):
                self._verify_chunk(channel, header, packer, chunk, missing)
                between()
                self._report("verify", self.about.kind, self._stop(chunk), self.about.count)
            channel.drain()
        if missing:
            client.hdel(self.keys.progress(header.version), *map(str, sorted(missing)))
            for chunk in missing:
                self._recorded.pop(chunk, None)
        return not missing

    def candidate(self) -> Candidate:
        """Returns what the switch must know."""
        joined = ",".join(self._digests[chunk] for chunk in range(self._chunks))
        checksum = hashlib.sha256(joined.encode()).hexdigest()
        return Candidate(self.keys, self._started().version, self._chunks, checksum)

    def went_live(self, client: Any) -> bool:
        """Whether the version is complete, as it is when the reply to its switch was lost."""
        if self.header is None:
            return False
        state = client.hget(self.keys.header(self.header.version), "state")
        return state == b"complete"

    def live_before(self, client: Any) -> str:
        """Returns the version that was live before this one, '' without one."""
        before = client.lindex(self.keys.history, 1)
        return "" if before is None else before.decode()

    def finished_header(self, client: Any) -> VectorHeader:
        """Returns the header of the version, as readers see it."""
        key = self.keys.header(self._started().version)
        return VectorHeader.from_fields(client.hgetall(key), where=key)

    # ---- parts ----------------------------------------------------------------------------------------------------

    def _started(self) -> VectorHeader:
        if self.header is None:
            raise RuntimeError("`begin` must be called first.")
        return self.header

    def _stop(self, chunk: int) -> int:
        return min((chunk + 1) * CHUNK_ROWS, self.about.count)

    def _packer(self, header: VectorHeader) -> CommandPacker:
        return CommandPacker(header.key_head, header.key_tail, keys_per_command=self._settings.keys_per_command)

    def _new_header(self) -> VectorHeader:
        head, tail = self._template.parts(self.about.kind, self._name)
        ttl = self._settings.ttl_seconds
        return VectorHeader(
            **self.about.model_dump(),
            version=self._name,
            encoding=self._settings.encoding,
            layout="versioned" if self._template.versioned else "flat",
            key_head=head,
            key_tail=tail,
            chunk_rows=CHUNK_ROWS,
            created=now_text(),
            expires_at=int((time.time() + ttl) * 1000) if ttl else 0,
            ttl_seconds=ttl,
        )

    def _interrupted(self, client: Any) -> VectorHeader | None:
        """Returns the header of the newest unfinished version of the same content, written in the same way."""
        wanted = self._new_header()
        for name in client.zrevrange(self.keys.versions, 0, -1):
            version = name.decode()
            try:
                header = VectorHeader.from_fields(client.hgetall(self.keys.header(version)), where=version)
            except VectorsMismatchError:
                continue
            head, tail = self._template.parts(self.about.kind, version)
            same = header.model_copy(
                update={"version": wanted.version, "created": wanted.created, "expires_at": wanted.expires_at}
            )
            same = same.model_copy(update={"key_head": wanted.key_head, "key_tail": wanted.key_tail})
            long_enough = not header.expires_at or header.expires_at / 1000 > time.time() + header.ttl_seconds / 2
            if same == wanted and (head, tail) == (header.key_head, header.key_tail) and long_enough:
                return header
        return None

    def _write_chunk(self, channel: BulkChannel, header: VectorHeader, chunk: int) -> None:
        start, stop = chunk * CHUNK_ROWS, self._stop(chunk)
        raw = self.source.ids(start, stop)
        self._check_ids(raw, header)
        ids, values = RawIds(raw), self._encode(start, stop, header)
        digest = self._digests[chunk] = content_digest(ids, values)
        if self._recorded.get(chunk) == digest:
            if self._first:
                self.resumed += stop - start
            return
        listed = listed_ids(raw, header.id_type)
        expiry = ("PXAT", header.expires_at) if header.expires_at else ()
        channel.send_command("SET", f"{self.keys.ids_head(header.version)}{chunk}", listed, *expiry)
        replies = 1
        packer = self._packer(header)
        commands = packer.set_until(ids, values, header.expires_at) if expiry else packer.mset(ids, values)
        for command, expected in commands:
            channel.send(command)
            replies += expected
        progress = self.keys.progress(header.version)

        def acknowledged(_: Replies) -> None:
            # Only now: a record before the reply could outlive vectors the server had no room for.
            channel.send_command("HSET", progress, chunk, digest)
            channel.expect(1)
            self._recorded[chunk] = digest
            self.written += stop - start
            self.value_bytes += stored_bytes(values)

        channel.expect(replies, acknowledged)

    def _verify_chunk(
        self, channel: BulkChannel, header: VectorHeader, packer: CommandPacker, chunk: int, missing: set[int]
    ) -> None:
        start, stop = chunk * CHUNK_ROWS, self._stop(chunk)
        ids = RawIds(self.source.ids(start, stop))
        counts = []
        for command, keys in packer.exists(ids):
            channel.send(command)
            counts.append(keys)
        generator = np.random.default_rng(secrets.randbits(64))
        rows = generator.choice(stop - start, min(_SAMPLES, stop - start), replace=False).tolist()
        samples = []
        for row in rows:
            channel.send_command("GET", header.key_head.encode() + ids[row] + header.key_tail.encode())
            samples.append(single_value(self._encode(start + row, start + row + 1, header)))
        channel.send_command("EXISTS", f"{self.keys.ids_head(header.version)}{chunk}")
        expected = [*counts, *samples, 1]

        def compare(replies: Replies) -> None:
            if replies != expected:
                missing.add(chunk)

        channel.expect(len(expected), compare)

    def _encode(self, start: int, stop: int, header: VectorHeader) -> Values:
        try:
            return encode_vectors(self.source.vectors(start, stop), header.encoding)
        except DataError as error:
            place = f"the {self.about.kind} vectors {start + 1:,} to {stop:,}"
            raise DataError(error.problem, file=place, remedy=error.remedy) from error

    def _check_ids(self, raw: pa.Array, header: VectorHeader) -> None:
        """Refuses ids whose keys would be the store's own."""
        own = f"{self.keys.prefix}:meta:"
        if header.id_type == "string" and own.startswith(header.key_head):
            rest = own[len(header.key_head) :]
            for text in raw.to_pylist():
                if text.startswith(rest):
                    raise DataError(
                        f"The id `{text}` would have the key of the store's own records.",
                        remedy="Use another --prefix or --key-template.",
                    )
