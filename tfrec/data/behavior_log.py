"""A seeded log in the format of the Tianchi mobile log, of users whose interests stay the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tfrec.config.behavior_log_config import BehaviorLogConfig

_LEAST_EVENTS = 10
_BEHAVIORS = {1: 0.90, 2: 0.03, 3: 0.04, 4: 0.03}
_GEOHASH_SHARE, _GEOHASHES = 0.3, 100
_NIGHT_SHARE, _DAY_HOURS = 0.2, 6
_FIRST_ID = 100_000_000

Integers = NDArray[np.int64]


class BehaviorLog:
    """A world of items in categories and kinds, and users who come back to their own few kinds.

    A user has `interests_per_user` kinds with weights of his own. An event is of the same kind as the event before it,
    or of one of his kinds, or of any kind by popularity; the item is one of that kind, popular ones more often. He is
    awake at hours of his own. So the events of one week tell whose events those of another week are, better by kinds
    than by single items.

    Args:
        config: Size and dynamics.
    """

    def __init__(self, config: BehaviorLogConfig) -> None:
        self.config = config
        random = np.random.default_rng([config.seed, 0])
        self.num_kinds = config.num_categories * config.styles_per_category
        weights = (1.0 + random.permutation(config.num_categories)) ** -config.zipf_exponent
        by_kind = np.repeat(weights, config.styles_per_category)
        self._kinds_up_to = np.cumsum(by_kind / by_kind.sum())  # [kinds]
        self.item_ids = _FIRST_ID + random.permutation(self.num_kinds * config.items_per_style)  # [items]
        self.category_ids = 1 + random.permutation(config.num_categories)

    def events(self) -> pa.Table:
        """Draws the log.

        Returns:
            Columns of the published file, one row per event, by user and hour: `user_id`, `item_id`, `behavior_type`
            (int64), `user_geohash` (string or null), `item_category` (int64), `time` (`YYYY-MM-DD HH`).
        """
        config = self.config
        random = np.random.default_rng([config.seed, 1])
        extra = random.gamma(1.0, config.mean_events - _LEAST_EVENTS, config.num_users).astype(np.int64)
        lengths = np.minimum(_LEAST_EVENTS + extra, config.max_events)  # [users]
        user = np.repeat(np.arange(config.num_users), lengths)  # [events]
        hour = self._hours(random, user)
        order = np.lexsort((hour, user))
        hour = hour[order]
        kind = self._kinds(random, user)
        place = (config.items_per_style * random.random(user.size) ** 2).astype(np.int64)
        user_ids = _FIRST_ID + random.permutation(config.num_users)
        codes = random.integers(0, _GEOHASHES, user.size)
        hidden = random.random(user.size) >= _GEOHASH_SHARE
        geohash = pa.array(np.array([f"9{code:05d}" for code in range(_GEOHASHES)]))
        instants = (config.start_time + 3600 * hour).astype("datetime64[s]").astype("datetime64[h]")
        times = np.char.replace(np.datetime_as_string(instants), "T", " ")
        return pa.table(
            {
                "user_id": user_ids[user],
                "item_id": self.item_ids[kind * config.items_per_style + place],
                "behavior_type": random.choice(list(_BEHAVIORS), user.size, p=list(_BEHAVIORS.values())),
                "user_geohash": geohash.take(pa.array(codes, mask=hidden)),
                "item_category": self.category_ids[kind // config.styles_per_category],
                "time": times,
            }
        )

    def items(self) -> pa.Table:
        """Returns `item_id` and `item_category` of all items."""
        kind = np.arange(self.item_ids.size) // self.config.items_per_style
        category = self.category_ids[kind // self.config.styles_per_category]
        return pa.table({"item_id": self.item_ids, "item_category": category})

    def _kinds(self, random: np.random.Generator, user: Integers) -> Integers:
        """The kind of every event, `[events]`."""
        config = self.config
        own = np.searchsorted(self._kinds_up_to, random.random((config.num_users, config.interests_per_user)))
        own = np.minimum(own, self.num_kinds - 1)
        strength = np.cumsum(random.dirichlet(np.full(config.interests_per_user, 2.0), config.num_users), axis=1)
        chosen = (random.random(user.size)[:, np.newaxis] > strength[user, :-1]).sum(axis=1)  # [events]
        anything = np.searchsorted(self._kinds_up_to, random.random(user.size))
        fresh = np.where(random.random(user.size) < config.follow_interest, own[user, chosen], anything)
        fresh = np.minimum(fresh, self.num_kinds - 1)
        starts = np.append(True, user[1:] != user[:-1]) | (random.random(user.size) >= config.stay)
        since = np.maximum.accumulate(np.where(starts, np.arange(user.size), 0))
        kinds: Integers = fresh[since]
        return kinds

    def _hours(self, random: np.random.Generator, user: Integers) -> Integers:
        """Hours since the first one, `[events]`, unordered."""
        config = self.config
        awake = random.integers(0, 24, config.num_users)[user] + random.integers(0, _DAY_HOURS, user.size)
        anytime = random.integers(0, 24, user.size)
        hour = np.where(random.random(user.size) < _NIGHT_SHARE, anytime, awake % 24)
        hours: Integers = 24 * random.integers(0, config.num_days, user.size) + hour
        return hours


def write_behavior_log(events: Path, items: Path, config: BehaviorLogConfig) -> None:
    """Writes the log and its items as Parquet files.

    Args:
        events: File of the log.
        items: File of the items.
        config: Size and dynamics.
    """
    log = BehaviorLog(config)
    for path, table in ((items, log.items()), (events, log.events())):
        partial = path.with_name(path.name + ".partial")
        pq.write_table(table, partial)
        partial.rename(path)
