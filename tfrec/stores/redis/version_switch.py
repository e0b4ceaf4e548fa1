"""Which version is live: changed in one step on the server, and only to versions that are complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfrec.stores.redis.store_keys import StoreKeys
from tfrec.stores.store_errors import StoreError

# KEYS: lease, then per version header, progress, live, history. ARGV: token, time, then per version name, number of
# chunks, checksum. Nothing changes unless everything is in order for all versions.
_SWITCH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lease', ''} end
local count = (#KEYS - 1) / 4
for n = 0, count - 1 do
  local header, progress = KEYS[2 + 4 * n], KEYS[3 + 4 * n]
  local version, chunks = ARGV[3 + 3 * n], tonumber(ARGV[4 + 3 * n])
  if redis.call('HGET', header, 'state') ~= 'writing' then return {'header', version} end
  if redis.call('HLEN', progress) ~= chunks then return {'progress', version} end
end
local before = {'live'}
for n = 0, count - 1 do
  local version = ARGV[3 + 3 * n]
  redis.call('HSET', KEYS[2 + 4 * n], 'state', 'complete', 'completed', ARGV[2], 'checksum', ARGV[5 + 3 * n])
  before[#before + 1] = redis.call('GET', KEYS[4 + 4 * n]) or ''
  redis.call('SET', KEYS[4 + 4 * n], version)
  redis.call('LREM', KEYS[5 + 4 * n], 0, version)
  redis.call('LPUSH', KEYS[5 + 4 * n], version)
  redis.call('UNLINK', KEYS[3 + 4 * n])
end
return before
"""

# KEYS: live, history. ARGV: what precedes the version in the key of a header.
_ROLLBACK = """
local live = redis.call('GET', KEYS[1])
if not live then return {'none', '', ''} end
if redis.call('HGET', ARGV[1] .. live, 'layout') == 'flat' then return {'flat', live, ''} end
local history = redis.call('LRANGE', KEYS[2], 0, 1)
local previous = history[2]
if history[1] ~= live or not previous then return {'first', live, ''} end
if redis.call('HGET', ARGV[1] .. previous, 'state') ~= 'complete' then return {'gone', live, previous} end
redis.call('SET', KEYS[1], previous)
redis.call('LPOP', KEYS[2])
redis.call('HSET', ARGV[1] .. live, 'state', 'withdrawn')
return {'done', live, previous}
"""

# KEYS: live, history, header. ARGV: version. A version that is live is never given up.
_GIVE_UP = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('HSET', KEYS[3], 'state', 'pruning') end
redis.call('LREM', KEYS[2], 0, ARGV[1])
return 1
"""


@dataclass(frozen=True)
class Candidate:
    """A verified version that is to become live.

    Attributes:
        keys: Keys of its kind.
        version: Its name.
        chunks: Number of its chunks; as many must be recorded as written.
        checksum: Checksum of its content.
    """

    keys: StoreKeys
    version: str
    chunks: int
    checksum: str


def switch(client: Any, lease: str, token: str, completed: str, candidates: Sequence[Candidate]) -> list[str] | None:
    """Marks versions complete and makes them live, all at once.

    The server refuses unless the header of each is there, is being written, and has every chunk recorded: a server that
    lost its latest writes in a crash has lost these records first.

    Returns:
        The versions that were live before, '' where there was none; None when something is missing and has to be
        written again.

    Raises:
        StoreError: The lease was lost.
    """
    keys, arguments = [lease], [token, completed]
    for one in candidates:
        keys += [one.keys.header(one.version), one.keys.progress(one.version), one.keys.live, one.keys.history]
        arguments += [one.version, str(one.chunks), one.checksum]
    said, *rest = (text.decode() for text in client.eval(_SWITCH, len(keys), *keys, *arguments))
    if said == "lease":
        raise StoreError("Another publication took over before this one could go live.", remedy="Run it again.")
    return rest if said == "live" else None


def roll_back(client: Any, keys: StoreKeys) -> tuple[str, str]:
    """Makes the version before the live one live again.

    Returns:
        The withdrawn version and the one that is live now.

    Raises:
        StoreError: There is none, or it is no longer whole.
    """
    reply = client.eval(_ROLLBACK, 2, keys.live, keys.history, keys.header(""))
    said, live, previous = (text.decode() for text in reply)
    if said == "done":
        return live, previous
    reasons = {
        "none": f"No {keys.kind} vectors were ever published below this prefix.",
        "flat": f"The {keys.kind} vectors have keys without versions: the old ones were overwritten.",
        "first": f"There is no version of the {keys.kind} vectors before `{live}`.",
        "gone": f"The version `{previous}` of the {keys.kind} vectors has expired or was removed.",
    }
    raise StoreError(reasons[said], remedy="Publish the run you want to go back to.")


def give_up(client: Any, keys: StoreKeys, version: str) -> bool:
    """Marks a version as being removed; returns False when it is live."""
    return bool(client.eval(_GIVE_UP, 3, keys.live, keys.history, keys.header(version), version))
