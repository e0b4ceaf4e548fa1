"""Which events a text may be made from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.text.conftest import TRAIN
from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors
from tfrec.errors import ConfigError
from tfrec.text.mean_of_items import mean_of_items
from tfrec.text.training_events import recent_items, training_events


def by_user(dataset: InteractionDataset, table: np.ndarray) -> dict[int, list[int]]:
    """Raw item ids by raw user id."""
    users, items = dataset.vocabulary("user"), dataset.item_vocabulary
    return {user: items.raw(row[row > 0]) for user, row in zip(users.ids.tolist(), table[2:], strict=True)}


def test_the_latest_training_events_newest_first(cinema: InteractionDataset) -> None:
    expected = {user: items[::-1] for user, items in TRAIN.items()}
    assert by_user(cinema, recent_items(cinema, 9)) == expected
    assert by_user(cinema, recent_items(cinema, 2)) == {7: [13, 12], 8: [10, 12], 9: [14, 11]}
    assert by_user(cinema, recent_items(cinema, 2, skip_last=1)) == {7: [12, 11], 8: [12], 9: [11, 14]}
    assert by_user(cinema, recent_items(cinema, 2, skip_last=3)) == {7: [10], 8: [], 9: []}


@pytest.mark.parametrize(("last", "skip_last"), [(0, 0), (3, -1)])
def test_numbers_out_of_range(cinema: InteractionDataset, last: int, skip_last: int) -> None:
    with pytest.raises(ConfigError, match="`last` is"):
        recent_items(cinema, last, skip_last=skip_last)


def test_users_with_many_sessions_in_many_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cinema: InteractionDataset
) -> None:
    """Sessions of a user are apart in the shards: batches of three sequences against a plain sort by time."""
    random = np.random.default_rng(3)
    rows = []
    for session in range(40):
        start = int(random.integers(0, 30 * 86_400))
        for step in range(int(random.integers(2, 6))):
            rows.append((session % 7, session, int(random.integers(0, 12)), start + 7 * step))
    user, session, item, time = zip(*rows, strict=True)
    table = pa.table({"u": user, "s": session, "item_id": item, "timestamp": time})
    columns = {"user_col": "u", "session_col": "s", "time_unit": "s"}
    convert(ConversionOptions(output=str(tmp_path / "DS"), split="session_time", **columns), table=table)
    dataset = InteractionDataset.open(str(tmp_path / "DS"))
    monkeypatch.setattr("tfrec.text.training_events._BATCH", 3)
    batches = list(training_events(dataset))
    assert len(batches) > 3
    events: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for batch in batches:
        for owner, what, when in zip(batch.users.tolist(), batch.items.tolist(), batch.times.tolist(), strict=True):
            events[owner].append((when, what))
    assert sum(map(len, events.values())) == dataset.num_events("train")
    table = recent_items(dataset, 6, skip_last=2)
    for owner, own in events.items():
        newest = [what for _, what in sorted(own, key=lambda event: event[0])[::-1]][2:8]
        assert table[owner].tolist() == newest + [0] * (6 - len(newest))
    _check_means(dataset, events)


def _check_means(dataset: InteractionDataset, events: dict[int, list[tuple[int, int]]]) -> None:
    """Means of all events, of the last ones, and without the newest, against a loop; item index 3 has no vector."""
    vectors = np.random.default_rng(1).normal(size=(dataset.item_vocabulary.size, 5))
    vectors[[0, 1, 3]] = 0.0
    kept = np.flatnonzero(vectors.any(axis=1))
    write_item_vectors(dataset, "v", dataset.item_vocabulary.ids[kept - 2], vectors[kept])
    users = dataset.vocabulary("user")
    for last, skip in ((None, 0), (None, 2), (4, 0), (3, 1)):
        ids, means = mean_of_items(dataset, "v", last=last, skip_last=skip)
        found = dict(zip(users.lookup(ids).tolist(), means, strict=True))
        for owner, own in events.items():
            newest = [what for _, what in sorted(own, key=lambda event: event[0])[::-1]][skip:]
            chosen = [vectors[item] for item in newest[:last] if item != 3]
            if not chosen:
                assert owner not in found
                continue
            mean = np.mean([vector / np.linalg.norm(vector) for vector in chosen], axis=0)
            np.testing.assert_allclose(found[owner], mean / np.linalg.norm(mean), atol=1e-5)
