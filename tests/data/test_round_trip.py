"""Property: Parquet -> TFRecord -> tensors gives back every event of every sequence that training may use."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
IDS = st.one_of(st.just(st.integers(-(2**63), 2**63 - 1)), st.just(TEXT))


@st.composite
def logs(draw) -> list[tuple]:
    sessions = draw(st.lists(draw(IDS), min_size=1, max_size=6, unique=True))
    items = draw(st.lists(draw(IDS), min_size=1, max_size=6, unique=True))
    event = st.tuples(st.sampled_from(sessions), st.sampled_from(items), st.integers(0, 20))
    rows = draw(st.lists(event, min_size=1, max_size=40))
    # One sequence of two events at least, so that something is left.
    return [*rows, (sessions[0], items[0], 3), (sessions[0], items[-1], 3)]


@settings(max_examples=25, deadline=None)
@given(rows=logs(), batch_size=st.integers(1, 5), shards=st.integers(1, 4))
def test_round_trip(rows, batch_size, shards):
    expected = {}
    for session, item, time in sorted(rows, key=lambda row: row[2]):  # stable: equal times keep input order
        expected.setdefault(session, []).append((time, item))
    expected = {session: events for session, events in expected.items() if len(events) > 1}
    order = sorted(expected, key=lambda session: (expected[session][0][0], _key(session)))
    with tempfile.TemporaryDirectory() as folder:
        session, item, time = zip(*rows, strict=True)
        pq.write_table(pa.table({"session_id": session, "item_id": item, "timestamp": time}), f"{folder}/log.parquet")
        options = ConversionOptions(
            output=f"{folder}/DS",
            input=[f"{folder}/log.parquet"],
            split="random_user",
            test_fraction=0,
            valid_fraction=0,
            shards=shards,
            time_unit="ms",
        )
        convert(options)
        dataset = InteractionDataset.open(Path(folder) / "DS")
        vocabulary = dataset.item_vocabulary
        read = []
        for batch in sequence_dataset(dataset, "train", batch_size):
            rows_of = {name: batch[name].numpy() for name in ("user_id", "item", "timestamp", "length", "num_targets")}
            for user, items, times, length, targets in zip(*rows_of.values(), strict=True):
                assert targets == length - 1
                assert not items[length:].any()
                raw = vocabulary.raw(items[:length])
                read.append((user, list(zip(times[:length].tolist(), raw, strict=True))))
    decoded = [(user.decode() if isinstance(user, bytes) else int(user), events) for user, events in read]
    assert decoded == [(session, expected[session]) for session in order]
    counts = Counter(item for events in expected.values() for _, item in events)
    ranked = sorted(counts, key=lambda item: (counts[item], str(item).encode()), reverse=True)
    assert vocabulary.ids.tolist() == ranked
    assert vocabulary.counts.tolist() == [0, 0, *(counts[item] for item in ranked)]
    assert list(itertools.accumulate([0, *map(len, (expected[session] for session in order))]))[-1] == sum(
        counts.values()
    )


def _key(session: object) -> object:
    return session.encode() if isinstance(session, str) else session
