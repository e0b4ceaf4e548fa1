"""A seeded clickstream whose best attainable accuracy is known, for demonstrations and tests without data."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tfrec.config.clickstream_config import ClickstreamConfig

# Successors from the item's own category, the rest from anywhere.
_SAME_CATEGORY = 0.5
_SECONDS_PER_DAY = 86_400.0

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Clickstream:
    """A small world of items and the sessions that visit it.

    Item popularity is Zipf. Every session has a hidden interest z, constant over the session. The first item comes from
    the interest's categories or from overall popularity; each further one is, with fixed probabilities, a successor of
    the last item, a successor of the item before it, any item of the interest's categories, or any item by popularity.
    Successors the interest favours are `interest_boost` times as likely. Similar items (a family) share their
    successors, which a model with item vectors can learn from fewer sessions than one that counts. The last item alone
    does not tell everything: a model that remembers the session can do better than a Markov chain. Since all
    probabilities are known, the best possible ranking is known too (`tfrec.evaluation.clickstream_optimum`).

    Items are numbered 0..num_items-1 here; `item_ids` gives the ids that appear in the log.

    Args:
        config: Size and dynamics.

    Attributes:
        item_ids: int64 `[items]`.
        categories: int64 `[items]`.
        popularity: Overall popularity, sums to 1, `[items]`.
        preference: P(item | interest) of the interest's own categories, `[interests, items]`.
        successors: Item numbers, `[items, successors]`; a repetition adds up.
        successor_weights: P(successor | interest, item), `[interests, items, successors]`.
    """

    def __init__(self, config: ClickstreamConfig) -> None:
        self.config = config
        rng = np.random.default_rng([config.seed, 0])
        size, interests = config.num_items, config.num_interests
        self.item_ids = rng.permutation(size) + 1
        self.categories = np.sort(rng.permutation(size) % config.num_categories)
        weights = (1.0 + rng.permutation(size)) ** -config.zipf_exponent
        self.popularity: Floats = weights / weights.sum()
        favoured = self.categories[np.newaxis, :] % interests == np.arange(interests)[:, np.newaxis]
        preference = np.where(favoured, self.popularity, 0.0)
        self.preference: Floats = preference / preference.sum(axis=1, keepdims=True)
        self.successors = self._draw_successors(rng)
        decay = 0.85 ** np.arange(config.num_successors)
        boosted = np.where(favoured[:, self.successors], config.interest_boost, 1.0) * decay
        self.successor_weights: Floats = boosted / boosted.sum(axis=2, keepdims=True)

    def generate(self) -> pa.Table:
        """Draws the sessions.

        Returns:
            One row per event in order of time: `session_id` int64, `item_id` int64, `timestamp` float64 (seconds since
            the epoch), `category` int64.
        """
        config = self.config
        rng = np.random.default_rng([config.seed, 1])
        extra = rng.geometric(1.0 / (config.mean_length - 1.0), config.num_sessions) - 1
        lengths = np.minimum(2 + extra, config.max_length)
        items = self._draw_items(rng, lengths)
        visited = np.arange(items.shape[1]) < lengths[:, np.newaxis]  # [sessions, seq]
        gaps = np.clip(rng.lognormal(np.log(40.0), 1.0, items.shape), 1.0, 1800.0)  # [sessions, seq]
        start = config.start_time + rng.random((config.num_sessions, 1)) * config.num_days * _SECONDS_PER_DAY
        times = np.round(start + np.cumsum(gaps, axis=1) - gaps[:, :1], 3)  # [sessions, seq]
        # Sessions are numbered by their start, as a shop's log would.
        session_ids = np.empty(config.num_sessions, np.int64)
        session_ids[np.argsort(start[:, 0], kind="stable")] = np.arange(1, config.num_sessions + 1)
        columns = [np.repeat(session_ids, lengths), items[visited], times[visited]]
        order = np.lexsort((columns[0], columns[2]))
        session, item, time = (column[order] for column in columns)
        return pa.table(
            {
                "session_id": session,
                "item_id": self.item_ids[item],
                "timestamp": time,
                "category": self.categories[item],
            }
        )

    def _draw_successors(self, rng: np.random.Generator) -> Integers:
        config = self.config
        # Items are sorted by category, so a family of neighbouring items is similar and a category is a range of items.
        family = np.arange(config.num_items) // config.family_size
        shape = (int(family[-1]) + 1, config.num_successors)
        own = np.broadcast_to(self.categories[:: config.family_size, np.newaxis], shape)
        anywhere = rng.integers(0, config.num_categories, shape)
        category = np.where(rng.random(shape) < _SAME_CATEGORY, own, anywhere)
        # Square roots spread successors over the tail.
        cumulative = np.concatenate([[0.0], np.cumsum(np.sqrt(self.popularity))])
        first = np.searchsorted(self.categories, np.arange(config.num_categories + 1))
        low, high = cumulative[first[category]], cumulative[first[category + 1]]
        drawn = np.searchsorted(cumulative, low + rng.random(shape) * (high - low), side="right") - 1
        return np.minimum(drawn, config.num_items - 1)[family]

    def _draw_items(self, rng: np.random.Generator, lengths: Integers) -> Integers:
        config = self.config
        interest = rng.integers(0, config.num_interests, config.num_sessions)
        items = np.full((config.num_sessions, int(lengths.max())), -1, np.int64)
        liked = (np.cumsum(self.preference, axis=1) + np.arange(config.num_interests)[:, np.newaxis]).ravel()
        popular = np.cumsum(self.popularity)
        followed = np.cumsum(self.successor_weights, axis=2)
        for position in range(items.shape[1]):
            active = np.flatnonzero(lengths > position)
            z, last, previous = interest[active], items[active, position - 1], items[active, position - 2]
            choice, inner = rng.random((2, active.size))
            p_last, p_previous, p_interest = self.mixture(position)
            by_interest = np.searchsorted(liked, z + inner, side="right") - z * config.num_items
            by_popularity = np.searchsorted(popular, inner, side="right")
            drawn = np.minimum(
                np.where(choice < p_last + p_previous + p_interest, by_interest, by_popularity), config.num_items - 1
            )
            if position:
                source = np.where(choice < p_last, last, previous)
                place = np.minimum((inner[:, np.newaxis] >= followed[z, source]).sum(axis=1), config.num_successors - 1)
                drawn = np.where(choice < p_last + p_previous, self.successors[source, place], drawn)
            items[active, position] = drawn
        return items

    def mixture(self, position: int) -> tuple[float, float, float]:
        """Returns P(follow last), P(follow previous) and P(follow interest) of the event at `position`."""
        config = self.config
        if position == 0:
            return 0.0, 0.0, config.follow_interest / (1.0 - config.follow_last - config.follow_previous)
        if position == 1:
            return config.follow_last + config.follow_previous, 0.0, config.follow_interest
        return config.follow_last, config.follow_previous, config.follow_interest


def generate_clickstream(
    num_sessions: int = 20_000, num_items: int = 2_000, num_categories: int = 40, seed: int = 0, **settings: Any
) -> pa.Table:
    """Generates a synthetic click log; the same arguments give the same table.

    Args:
        num_sessions: Number of sessions. Default: 20,000.
        num_items: Number of items. Default: 2,000.
        num_categories: Number of item categories. Default: 40.
        seed: Seed. Default: 0.
        **settings: Other fields of `ClickstreamConfig`.

    Returns:
        See `Clickstream.generate`.

    Example:
        >>> generate_clickstream(num_sessions=10, num_items=50, num_categories=5).column_names
        ['session_id', 'item_id', 'timestamp', 'category']
    """
    config = ClickstreamConfig(
        num_sessions=num_sessions, num_items=num_items, num_categories=num_categories, seed=seed, **settings
    )
    return Clickstream(config).generate()


def write_clickstream(path: str | os.PathLike[str], config: ClickstreamConfig | None = None) -> Clickstream:
    """Writes a synthetic click log to a Parquet file.

    Args:
        path: The file to write.
        config: Size and dynamics. Default: `ClickstreamConfig()`.

    Returns:
        The world the sessions were drawn from.
    """
    world = Clickstream(config or ClickstreamConfig())
    pq.write_table(world.generate(), path)
    return world
