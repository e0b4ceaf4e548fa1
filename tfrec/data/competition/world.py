"""A world of items and users that behaves in ways a model can learn; drawn anew from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfrec.seeds import derive_seed

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_START = 1_735_689_600  # the first of January 2025
_MINUTE, _DAY = 60, 86_400
_FAVOURITES = 4


@dataclass(frozen=True)
class WorldSize:
    """How large the world is.

    Attributes:
        users: Users with a training sequence.
        test_users: Further users, whose last event is hidden.
        items: Items, of which `cold_share` have no event before the hidden ones.
        topics: Topics; an item has one.
        mean_length: Mean number of events of a user.
        max_length: Most events of a user.
        cold_share: Share of items that only test users meet, and only as their hidden event.
        vector_dim: Width of the vectors of creatives.
        seed: Seed of everything.
    """

    users: int = 1000
    test_users: int = 200
    items: int = 500
    topics: int = 25
    mean_length: float = 30.0
    max_length: int = 100
    cold_share: float = 0.04
    vector_dim: int = 32
    seed: int = 0


@dataclass(frozen=True)
class World:
    """Items, and sequences of events, user after user.

    Attributes:
        topic: Topic of every item, int64 `[items]`.
        place: Its place within the topic: 0 is the most popular one, int64 `[items]`.
        cold: Items without training events, bool `[items]`.
        vectors: Vectors of creatives by topic and place, float32 `[items, vector_dim]`.
        favourites: Favourite topics of every user, int64 `[users + test users, 4]`.
        lengths: Events of every user, test users last, int64 `[users + test users]`.
        item: Item of every event, int64 `[events]`.
        action: 0 exposure, 1 click, 2 conversion, int64 `[events]`.
        timestamp: Seconds since 1970, int64 `[events]`.
    """

    topic: Ints
    place: Ints
    cold: npt.NDArray[np.bool_]
    vectors: Floats
    favourites: Ints
    lengths: Ints
    item: Ints
    action: Ints
    timestamp: Ints


def draw_world(size: WorldSize) -> World:
    """Draws items and users.

    A user has some favourite topics. Within a visit (gaps of minutes) he stays with a topic, and an item is followed by
    its successor in the topic or by a popular one; after a gap of days he turns to another favourite. So what comes
    next depends on the last item, on earlier ones, and on how much time has passed. The vectors of items say what their
    topic is, also those of cold items.

    Args:
        size: How large it is.
    """
    random = np.random.default_rng(derive_seed(size.seed, "competition world"))
    number = np.arange(size.items)
    topic, place = number % size.topics, number // size.topics
    per_topic = np.bincount(topic, minlength=size.topics)  # [topics]
    # The last items of each topic are cold; a topic keeps two warm ones at least.
    cold_each = np.minimum(np.ceil(per_topic * size.cold_share).astype(np.int64), np.maximum(per_topic - 2, 0))
    warm = per_topic - cold_each  # [topics]
    cold = place >= warm[topic]
    centres = random.normal(size=(size.topics, size.vector_dim))
    vectors = centres[topic] + random.normal(0, 0.4, (size.items, size.vector_dim))
    users = size.users + size.test_users
    lengths = np.clip(3 + random.geometric(1.0 / max(size.mean_length - 3.0, 1.0), users), 4, size.max_length)
    steps = int(lengths.max())
    favourites = random.integers(0, size.topics, (users, _FAVOURITES))
    chosen = favourites[:, 0]
    at, previous = np.zeros(users, np.int64), np.zeros(users, np.int64)
    time = _START + random.integers(0, 60 * _DAY, users)
    items, times, actions = (np.zeros((users, steps), np.int64) for _ in range(3))
    for step in range(steps):
        long = random.random(users) < 0.25
        gap = np.where(long, random.integers(_DAY, 20 * _DAY, users), random.integers(5, 40 * _MINUTE, users))
        turned = favourites[np.arange(users), random.integers(0, _FAVOURITES, users)]
        chosen = np.where(long, turned, chosen)
        popular = (warm[chosen] * random.random(users) ** 3).astype(np.int64)  # small places are frequent
        follows = ~long & (random.random(users) < 0.6) & (step > 0)
        at = np.where(follows, (previous + 1) % warm[chosen], popular)
        time = time + gap
        items[:, step] = at * size.topics + chosen
        times[:, step] = time
        clicked = random.random(users) < np.where(follows, 0.2, 0.05)
        actions[:, step] = clicked.astype(np.int64) + (clicked & (random.random(users) < 0.2))
        previous = at
    # Some test users meet a cold item of their topic at the end.
    last = lengths - 1
    rows = np.arange(users)
    end = items[rows, last] % size.topics
    meets = (rows >= size.users) & (random.random(users) < 0.25) & (cold_each[end] > 0)
    new = warm[end] + (random.random(users) * np.maximum(cold_each[end], 1)).astype(np.int64)
    items[rows[meets], last[meets]] = (new * size.topics + end)[meets]
    inside = np.arange(steps) < lengths[:, np.newaxis]
    return World(
        topic,
        place,
        cold,
        vectors.astype(np.float32),
        favourites,
        lengths,
        items[inside],
        actions[inside],
        times[inside],
    )
