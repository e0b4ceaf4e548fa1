"""What a chunk of a version holds: its checksum, the list of its ids, and its values one by one."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pyarrow as pa

from tfrec.stores.redis.command_packing import RawIds
from tfrec.stores.vector_encoding import Values


def content_digest(ids: RawIds, values: Values) -> str:
    """Returns the CRC-32 of the lengths of the ids, the ids, and the stored values in order, 8 hex digits."""
    crc = zlib.crc32(ids.data.data, zlib.crc32(ids.lengths.data))
    if isinstance(values, np.ndarray):
        crc = zlib.crc32(values.data, crc)
    else:
        for value in values:
            crc = zlib.crc32(value, crc)
    return f"{crc:08x}"


def listed_ids(raw: pa.Array, id_type: str) -> bytes:
    """Returns raw ids as a reader loads them: little-endian int64, or a JSON list of strings."""
    if id_type == "int64":
        return raw.to_numpy(zero_copy_only=False).astype("<i8").tobytes()
    return json.dumps(raw.to_pylist(), ensure_ascii=False).encode()


def single_value(values: Values) -> bytes:
    """Returns the first value as it is stored."""
    return values[0] if isinstance(values, list) else values[0].tobytes()


def stored_bytes(values: Values) -> int:
    """Returns the bytes of all values."""
    return values.nbytes if isinstance(values, np.ndarray) else sum(map(len, values))
