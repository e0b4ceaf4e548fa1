"""Which version is live: changed in one step on the server, and only to versions that are complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfrec.stores.redis.store_keys import StoreKeys
from tfrec.stores.store_errors import StoreError

# KEYS: lease, number of the last switch, then per version header, progress, live, history. ARGV: token, time, then per
# version name, number of chunks, checksum. Nothing changes unless everything is in order for all versions.
_SWITCH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lease', ''} end
local count = (#KEYS - 2) / 4
for n = 0, count - 1 do
  local header, progress = KEYS[3 + 4 * n], KEYS[4 + 4 * n]
  local version, chunks = ARGV[3 + 3 * n], tonumber(ARGV[4 + 3 * n])
  if redis.call('HGET', header, 'state') ~= 'writing' then return {'header', version} end
  if redis.call('HLEN', progress) ~= chunks then return {'progress', version} end
end
local before = {'live'}
local number = redis.call('INCR', KEYS[2])
for n = 0, count - 1 do
  local version, header = ARGV[3 + 3 * n], KEYS[3 + 4 * n]
  redis.call('HSET', header, 'state', 'complete', 'completed', ARGV[2], 'checksum', ARGV[5 + 3 * n], 'switch', number)
  before[#before + 1] = redis.call('GET', KEYS[5 + 4 * n]) or ''
  redis.call('SET', KEYS[5 + 4 * n], version)
  redis.call('LREM', KEYS[6 + 4 * n], 0, version)
  redis.call('LPUSH', KEYS[6 + 4 * n], version)
  redis.call('UNLINK', KEYS[4 + 4 * n])
end
return before
"""

# KEYS: per kind live, history. ARGV: per kind what precedes the version in the key of a header. All kinds or none, and
# only kinds whose live versions became live together.
_ROLLBACK = """
local count = #KEYS / 2
local pairs_ = {}
local newest, oldest
for n = 0, count - 1 do
  local live = redis.call('GET', KEYS[1 + 2 * n])
  if not live then return {'none', tostring(n), '', ''} end
  local number = tonumber(redis.call('HGET', ARGV[1 + n] .. live, 'switch') or 0)
  if not newest or number > newest[1] then newest = {number, n, live} end
  if not oldest or number < oldest[1] then oldest = {number, n, live} end
end
if newest[1] ~= oldest[1] then return {'apart', tostring(newest[2]), newest[3], oldest[3]} end
for n = 0, count - 1 do
  local live, head = redis.call('GET', KEYS[1 + 2 * n]), ARGV[1 + n]
  if redis.call('HGET', head .. live, 'layout') == 'flat' then return {'flat', tostring(n), live, ''} end
  local history = redis.call('LRANGE', KEYS[2 + 2 * n], 0, 1)
  if history[1] ~= live or not history[2] then return {'first', tostring(n), live, ''} end
  if redis.call('HGET', head .. history[2], 'state') ~= 'complete' then
    return {'gone', tostring(n), live, history[2]}
  end
  pairs_[n] = {live, history[2]}
end
local done = {'done'}
for n = 0, count - 1 do
  redis.call('SET', KEYS[1 + 2 * n], pairs_[n][2])
  redis.call('LPOP', KEYS[2 + 2 * n])
  redis.call('HSET', ARGV[1 + n] .. pairs_[n][1], 'state', 'withdrawn')
  done[#done + 1] = pairs_[n][1]
  done[#done + 1] = pairs_[n][2]
end
return done
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
    keys, arguments = [lease, candidates[0].keys.switches], [token, completed]
    for one in candidates:
        keys += [one.keys.header(one.version), one.keys.progress(one.version), one.keys.live, one.keys.history]
        arguments += [one.version, str(one.chunks), one.checksum]
    said, *rest = (text.decode() for text in client.eval(_SWITCH, len(keys), *keys, *arguments))
    if said == "lease":
        raise StoreError("Another publication took over before this one could go live.", remedy="Run it again.")
    return rest if said == "live" else None


def roll_back(client: Any, kinds: Sequence[StoreKeys]) -> list[tuple[str, str]]:
    """Makes the versions before the live ones live again, of all kinds or of none.

    Several kinds go back only when their live versions became live in the same switch: otherwise the older one would go
    back too far, and users and items would be of different models.

    Returns:
        Per kind the withdrawn version and the one that is live now.

    Raises:
        StoreError: There is none, it is no longer whole, or the kinds were published apart.
    """
    keys = [name for one in kinds for name in (one.live, one.history)]
    reply = client.eval(_ROLLBACK, len(keys), *keys, *(one.header("") for one in kinds))
    said, *rest = (text.decode() for text in reply)
    if said == "done":
        return list(zip(rest[::2], rest[1::2], strict=True))
    kind, live, previous = kinds[int(rest[0])].kind, rest[1], rest[2]
    reasons = {
        "none": f"No {kind} vectors were ever published below this prefix.",
        "flat": f"The {kind} vectors have keys without versions: the old ones were overwritten.",
        "first": f"There is no version of the {kind} vectors before `{live}`.",
        "gone": f"The version `{previous}` of the {kind} vectors has expired or was removed.",
        "apart": f"Version `{live}` of the {kind} vectors was published after the live version of the other kind.",
    }
    remedy = "Publish the run you want to go back to." if said != "apart" else f"Roll back the {kind} alone first."
    raise StoreError(reasons[said], remedy=f"Nothing was changed. {remedy}")


def give_up(client: Any, keys: StoreKeys, version: str) -> bool:
    """Marks a version as being removed; returns False when it is live."""
    return bool(client.eval(_GIVE_UP, 3, keys.live, keys.history, keys.header(version), version))
