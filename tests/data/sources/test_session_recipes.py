"""The five recipes with collapsing and a fixpoint, each from a planted log in its owner's format to the split."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.data.sources.planted_log import DAY, HOUR, PlantedLog, iso, visitor

Name = Callable[[int], Any]


def write_yoochoose(folder: Path, log: PlantedLog) -> None:
    # Latest first: the order of the files is not the order of events. Even sessions are in the test file.
    for name, rest in (("yoochoose-clicks.dat", 1), ("yoochoose-test.dat", 0)):
        rows = [f"{s},{iso(t)},{i},{'S' if i == 10 else 0}\n" for s, t, i in reversed(log.events) if s % 2 == rest]
        (folder / name).write_text("".join(rows))


def write_rees46(folder: Path, log: PlantedLog) -> None:
    header = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"

    def row(time: int, kind: str, item: int, user: int) -> str:
        text = datetime.fromtimestamp(time, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"{text},{kind},{item},2053013555631882655,,apple,3.5,{user},uuid-{user}\n"

    rows = {"2019-Oct.csv": [], "2019-Nov.csv": []}
    november = int(datetime(2019, 11, 1, tzinfo=timezone.utc).timestamp())
    for session, time, item in reversed(log.events):
        name = "2019-Nov.csv" if time >= november else "2019-Oct.csv"
        rows[name].append(row(time, "view", item, visitor(session)))
    # Were it a view, it would join sessions 1 and 2, which are 6,960 s apart.
    bridge = log.end - 2 * log.days * DAY - 9 * HOUR
    rows["2019-Nov.csv"] += [row(bridge, "cart", 10, 1), row(bridge, "purchase", 10, 1)]
    rows["2019-Oct.csv"].append(row(november - 1, "cart", 77, 500))
    for name, lines in rows.items():
        (folder / name).write_text(header + "".join(lines))


def write_coveo(folder: Path, log: PlantedLog) -> None:
    header = "session_id_hash,event_type,product_action,product_sku_hash,server_timestamp_epoch_ms,hashed_url\n"
    rows = [f"h{visitor(s)},event_product,detail,sku{i},{1000 * t},url\n" for s, t, i in reversed(log.events)]
    bridge = log.end - 2 * log.days * DAY - 9 * HOUR
    rows += [f"h1,pageview,,,{1000 * bridge},url\n", f"h1,event_product,add,sku10,{1000 * bridge},url\n"]
    (folder / "browsing_train.csv").write_text(header + "".join(rows))


def write_retailrocket(folder: Path, log: PlantedLog) -> None:
    rows = [f"{1000 * t},{visitor(s)},view,{i},\n" for s, t, i in reversed(log.events)]
    bridge = log.end - 2 * log.days * DAY - 9 * HOUR
    rows += [f"{1000 * bridge},1,addtocart,10,\n", f"{1000 * bridge},1,transaction,10,4000\n"]
    (folder / "events.csv").write_text("timestamp,visitorid,event,itemid,transactionid\n" + "".join(rows))


def write_diginetica(folder: Path, log: PlantedLog) -> None:
    # `timeframe` counts from the midnight before the session's first event; rows after midnight have the next date.
    first: dict[int, int] = {}
    for session, time, _ in log.events:
        first[session] = min(time, first.get(session, time)) // DAY * DAY
    rows = []
    for session, time, item in reversed(log.events):
        date = datetime.fromtimestamp(time, tz=timezone.utc).strftime("%Y-%m-%d")
        rows.append(f"{session};{'NA' if session % 2 else 7};{item};{1000 * (time - first[session])};{date}\n")
    (folder / "train-item-views.csv").write_text("sessionId;userId;itemId;timeframe;eventdate\n" + "".join(rows))


MIDNIGHT = 1_412_035_200  # 2014-09-30
LOGS = {
    "yoochoose": PlantedLog(MIDNIGHT, 1, fixed_end=False),
    "rees46": PlantedLog(1_575_158_400, 1, fixed_end=True),
    "coveo": PlantedLog(MIDNIGHT, 1, fixed_end=False),
    "retailrocket": PlantedLog(1_442_545_200, 7, fixed_end=True),
    "diginetica": PlantedLog(MIDNIGHT, 7, fixed_end=False),
}
WRITERS = {
    "yoochoose": write_yoochoose,
    "rees46": write_rees46,
    "coveo": write_coveo,
    "retailrocket": write_retailrocket,
    "diginetica": write_diginetica,
}
# The second session of a Coveo hash gets a number.
SESSION_NAMES: dict[str, Name] = {
    "yoochoose": int,
    "rees46": visitor,
    "coveo": lambda session: {2: "h1-2", 11: "h10-2"}.get(session, f"h{session}"),
    "retailrocket": visitor,
    "diginetica": int,
}
ITEM_NAMES: dict[str, Name] = {name: (lambda item: f"sku{item}") if name == "coveo" else int for name in WRITERS}


def named(name: str, expected: list[tuple[int, list[int]]]) -> list[tuple[Any, list[Any]]]:
    return [(SESSION_NAMES[name](s), [ITEM_NAMES[name](item) for item in items]) for s, items in expected]


@pytest.mark.parametrize("name", WRITERS)
def test_get_and_convert_give_train_full_and_test(name, tmp_path, get, convert_as_printed, sequences):
    log = LOGS[name]
    WRITERS[name](tmp_path, log)
    document = get(name, "--from", tmp_path, "--output", tmp_path / "X.parquet")
    assert document["events"]["rows"] == len(log.events)
    dataset = convert_as_printed(document["convert"], tmp_path / "DS")
    assert sequences(dataset, "train") == named(name, log.train_full)
    assert sequences(dataset, "test") == named(name, log.test)
    assert dataset.splits == ["train", "test"]
    assert dataset.manifest.split.boundaries == {"test": 1000 * (log.end - log.days * DAY)}


@pytest.mark.parametrize("name", WRITERS)
def test_get_dataset_with_validation_gives_the_nested_pair(name, tmp_path, get, sequences):
    from tfrec.data.dataset import InteractionDataset

    log = LOGS[name]
    WRITERS[name](tmp_path, log)
    document = get(name, "--from", tmp_path, "--dataset", tmp_path / "DS", "--validation")
    dataset = InteractionDataset.open(tmp_path / "DS")
    assert sequences(dataset, "train") == named(name, log.train_tr)
    assert sequences(dataset, "valid") == named(name, log.valid)
    assert sequences(dataset, "test") == named(name, log.test)
    assert document["manifest"]["splits"]["valid"]["sequences"] == 2
    # Only the dataset was asked for.
    assert not [path for path in tmp_path.rglob("*.parquet") if "vocab" not in path.parts]


@pytest.mark.parametrize(("name", "first"), [("coveo", "h1"), ("retailrocket", 1)])
def test_the_scripts_look_for_gaps_between_events_of_any_kind(
    name, first, tmp_path, get, convert_as_printed, sequences
):
    log = LOGS[name]
    WRITERS[name](tmp_path, log)
    document = get(name, "--from", tmp_path, "--output", tmp_path / "X.parquet", "--follow-scripts")
    dataset = convert_as_printed(document["convert"], tmp_path / "DS")
    # Session 1 ends 10 h - 240 s before B2, the cart event is 9 h before it (3,360 s later), and session 2 begins
    # an hour after that: no pause is longer than an hour.
    joined = [ITEM_NAMES[name](item) for item in (10, 11, 10, 11, 12)]
    assert sequences(dataset, "train") == [(first, joined), *named(name, log.train_full[2:])]
    assert sequences(dataset, "test") == named(name, log.test)


def test_yoochoose_times_in_whole_seconds_as_in_the_scripts(tmp_path, get):
    # 0.9 s after 0.1 s, with the smaller item: in whole seconds both are at 0 and the item decides.
    (tmp_path / "yoochoose-clicks.dat").write_text(f"1,{iso(MIDNIGHT + 0.9)},5,0\n1,{iso(MIDNIGHT + 0.1)},6,0\n")
    (tmp_path / "yoochoose-test.dat").write_text(f"2,{iso(MIDNIGHT + 2)},5,0\n")
    base = 1000 * MIDNIGHT
    for flags, expected in (
        ([], [(6, base + 100), (5, base + 900), (5, base + 2000)]),
        (["--follow-scripts"], [(5, base), (6, base), (5, base + 2000)]),
    ):
        get("yoochoose", "--from", tmp_path, "--output", tmp_path / "X.parquet", "--overwrite", *flags)
        table = pq.read_table(tmp_path / "X.parquet")
        assert list(zip(table["item_id"].to_pylist(), table["timestamp"].to_pylist(), strict=True)) == expected


def test_diginetica_time_is_first_date_plus_timeframe(tmp_path, get):
    # 2016-05-09 00:00 UTC is 1,462,752,000 s. Both rows count from it, although the second happened on the 10th.
    (tmp_path / "train-item-views.csv").write_text(
        "sessionId;userId;itemId;timeframe;eventdate\n1;NA;9654;90000000;2016-05-10\n1;5;33043;526309;2016-05-09\n"
    )
    get("diginetica", "--from", tmp_path, "--output", tmp_path / "X.parquet")
    table = pq.read_table(tmp_path / "X.parquet").to_pydict()
    assert table == {
        "session_id": [1, 1],
        "item_id": [33043, 9654],
        "timestamp": [1_462_752_526_309, 1_462_842_000_000],
        "user_id": [5, None],
    }


def test_coveo_reads_the_earlier_release_too(tmp_path, get):
    (tmp_path / "release_10_23_2020.csv").write_text(
        "session_id_hash,event_type,product_action,product_skus_hash,server_timestamp_epoch_ms,hashed_url\n"
        "a,event_product,detail,x,1000,u\na,pageview,,,2000,u\na,event_product,detail,y,3601001,u\n"
    )
    get("coveo", "--from", tmp_path, "--output", tmp_path / "X.parquet")
    # 3,600,001 ms between the two: one more than an hour.
    assert pq.read_table(tmp_path / "X.parquet").to_pydict() == {
        "session_id": ["a", "a-2"],
        "item_id": ["x", "y"],
        "timestamp": [1000, 3_601_001],
    }
