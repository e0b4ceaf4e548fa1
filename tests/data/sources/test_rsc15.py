"""The legacy recipe: repetitions stay, every filter once, split by the session's last event."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.sources.planted_log import DAY, iso
from tfrec.data.dataset import InteractionDataset

START = 1_396_310_400  # 2014-04-01
# The log ends at day 10, so test begins at day 9.
SESSIONS = {
    1: [(0, 10), (1, 10), (2, 11)],  # the repetition stays
    2: [(DAY, 10), (DAY + 1, 11)],
    3: [(2 * DAY, 11)],  # length 1
    4: [(3 * DAY, 10), *((3 * DAY + n, 12) for n in range(1, 5)), (3 * DAY + 5, 11)],
    5: [(3 * DAY + 10, 12)],  # length 1: goes first, so 12 has 4 events when items are counted
    6: [(4 * DAY, 13), (4 * DAY + 1, 99)],  # 99 is rare, then the session has length 1
    7: [(5 * DAY, 13), (5 * DAY + 1, 13), (5 * DAY + 2, 10)],
    8: [(6 * DAY, 13), (6 * DAY + 1, 11), (6 * DAY + 2, 13)],  # 13 had 5 events; the 4 that are left stay
    9: [(8.9 * DAY, 10), (9.1 * DAY, 11)],  # starts before day 9, ends after it: test, whole
    10: [(8 * DAY, 10), (9 * DAY, 11)],  # ends at the boundary: test
    11: [(8 * DAY, 11), (9 * DAY - 1, 10)],  # ends a second earlier: training
    12: [*((9.5 * DAY + n, 14) for n in range(5)), (9.8 * DAY, 10)],  # training does not know 14; one event is left
    13: [(9.9 * DAY, 11), (10 * DAY, 10)],
}
TRAIN = [(1, [10, 10, 11]), (2, [10, 11]), (4, [10, 11]), (7, [13, 13, 10]), (8, [13, 11, 13]), (11, [11, 10])]
TEST = [(10, [10, 11]), (9, [10, 11]), (13, [11, 10])]  # by first event: day 8, 8.9, 9.9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [f"{s},{iso(START + t)},{i},0\n" for s, events in SESSIONS.items() for t, i in events]
    (tmp_path / "yoochoose-clicks.dat").write_text("".join(rows))
    # Belongs to the other recipe; it would change everything here.
    (tmp_path / "yoochoose-test.dat").write_text(f"99,{iso(START + 20 * DAY)},10,0\n99,{iso(START + 20 * DAY)},11,0\n")
    return tmp_path


def test_train_full_and_test(folder, get, convert_as_printed, sequences):
    document = get("rsc15", "--from", folder, "--output", folder / "X.parquet")
    assert document["events"]["rows"] == sum(map(len, SESSIONS.values()))
    dataset = convert_as_printed(document["convert"], folder / "DS")
    assert sequences(dataset, "train") == TRAIN
    assert sequences(dataset, "test") == TEST


def test_validation_is_the_last_day_of_training(folder, get, sequences):
    get("rsc15", "--from", folder, "--dataset", folder / "DS", "--validation")
    dataset = InteractionDataset.open(folder / "DS")
    # Training ends with session 11 at day 9 - 1 s, so validation begins at day 8 - 1 s: only session 11 ends later.
    assert sequences(dataset, "train") == TRAIN[:-1]
    assert sequences(dataset, "valid") == TRAIN[-1:]
    assert sequences(dataset, "test") == TEST
    assert dataset.manifest.split.boundaries["valid"] == 1000 * (START + 8 * DAY - 1)
