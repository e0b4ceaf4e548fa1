"""Every input format gives the same dataset."""

from __future__ import annotations

import datetime
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset

ROWS = [
    (11, "a b", 1_700_000_000.25),
    (12, 'say "x"', 1_700_000_001.5),
    (11, "c", 1_700_000_002.0),
    (12, "a b", 1.7e9 + 9),
]
EXAMPLES = [(11, ["a b", "c"], 1), (12, ['say "x"', "a b"], 1)]
TIMES = [1_700_000_000_250, 1_700_000_002_000, 1_700_000_001_500, 1_700_000_009_000]


def run(tmp_path: Path, *inputs: Path, **options: Any) -> InteractionDataset:
    values = {"output": str(tmp_path / "DS"), "input": [str(name) for name in inputs], "split": "random_user"}
    values.update(
        test_fraction=0, valid_fraction=0, overwrite=True, session_col="session", item_col="item", time_col="time"
    )
    convert(ConversionOptions(**{**values, **options}))
    return InteractionDataset.open(tmp_path / "DS")


def lines(separator: str, header: list[str], quote: bool = False) -> str:
    def cell(value: object) -> str:
        text = str(value)
        return '"' + text.replace('"', '""') + '"' if quote and '"' in text else text

    return "".join(separator.join(map(cell, row)) + "\n" for row in [header, *ROWS])


def written(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"log.{kind}"
    header = ["session", "item", "time"]
    if kind == "parquet":
        session, item, time = zip(*ROWS, strict=True)
        pq.write_table(pa.table({"session": session, "item": item, "time": time, "extra": [0, 0, 0, 0]}), path)
    elif kind == "csv":
        path.write_text(lines(",", header, quote=True))
    elif kind == "semicolon.csv":
        path.write_text(lines(";", header, quote=True))
    elif kind == "tab.csv":
        path.write_text(lines("\t", header, quote=True))
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(lines(",", header, quote=True).encode()))
    elif kind == "inter":
        path.write_text(lines("\t", ["session:token", "item:token", "time:float"]))
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in ROWS))
    elif kind == "crlf.txt":
        path.write_bytes(b"\xef\xbb\xbf" + lines("\t", header).replace("\n", "\r\n").encode())
    else:
        path.write_text(lines("\t", header))
    return path


@pytest.mark.parametrize(
    "kind",
    ["parquet", "csv", "csv.gz", "semicolon.csv", "tab.csv", "tsv", "txt", "crlf.txt", "inter", "jsonl"],
)
def test_formats(tmp_path, examples, kind):
    dataset = run(tmp_path, written(tmp_path, kind))
    assert examples(dataset) == EXAMPLES
    assert dataset.load_ragged("train").timestamps.tolist() == TIMES
    assert dataset.manifest.columns.time_unit == "s"


def test_recbole_columns_with_their_type(tmp_path, examples):
    path = written(tmp_path, "inter")
    assert examples(run(tmp_path, path, session_col="session:token", time_col="time:float")) == EXAMPLES


def test_format_override(tmp_path, examples):
    path = written(tmp_path, "csv").rename(tmp_path / "log.data")
    assert examples(run(tmp_path, path, format="csv")) == EXAMPLES


def test_directories_globs_and_several_files(tmp_path, examples):
    folder = tmp_path / "parts" / "deep"
    folder.mkdir(parents=True)
    session, item, time = zip(*ROWS, strict=True)
    table = pa.table({"session": session, "item": item, "time": time})
    for number in range(4):
        pq.write_table(table.slice(number, 1), folder / f"part-{number}.parquet")
    (folder / "_SUCCESS").write_text("")
    assert examples(run(tmp_path, tmp_path / "parts")) == EXAMPLES
    assert examples(run(tmp_path, folder / "part-[01].parquet", folder / "part-2.parquet", folder / "*3*")) == EXAMPLES
    assert [source.events for source in InteractionDataset.open(tmp_path / "DS").manifest.sources] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("values", "unit", "milliseconds"),
    [
        ([1_700_000_000, 1_700_000_001], "s", [1_700_000_000_000, 1_700_000_001_000]),
        ([1_700_000_000_123, 1_700_000_000_124], "ms", [1_700_000_000_123, 1_700_000_000_124]),
        ([1_700_000_000_123_999, 1_700_000_000_124_000], "us", [1_700_000_000_123, 1_700_000_000_124]),
        ([1_700_000_000_123_999_999, 1_700_000_000_124_000_000], "ns", [1_700_000_000_123, 1_700_000_000_124]),
        ([5, 7], "s", [5000, 7000]),
        (
            [datetime.datetime(2024, 1, 1, 0, 0, 0, 123456), datetime.datetime(2024, 1, 2)],
            "us",
            [1704067200123, 1704153600000],
        ),
        ([datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)], "us", [1704067200000, 1704153600000]),
        (["2024-01-01T00:00:00.5Z", "2024-01-01T03:00:00+02:00"], "us", [1704067200500, 1704070800000]),
        (["2024-01-01 00", "2024-01-01 01:00"], "us", [1704067200000, 1704070800000]),
    ],
)
def test_units_of_time(tmp_path, values, unit, milliseconds):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"session": [1, 1], "item": [5, 6], "time": values}), path)
    dataset = run(tmp_path, path)
    assert dataset.load_ragged("train").timestamps.tolist() == milliseconds
    assert dataset.manifest.columns.time_unit == unit
    assert dataset.manifest.columns.time_unit_reason


def test_the_unit_given_wins(tmp_path):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"session": [1, 1], "item": [5, 6], "time": [5, 7]}), path)
    assert run(tmp_path, path, time_unit="ms").load_ragged("train").timestamps.tolist() == [5, 7]


def test_events_are_ordered_below_the_millisecond(tmp_path, examples):
    path = tmp_path / "log.parquet"
    pq.write_table(
        pa.table({"session": [1, 1], "item": [5, 6], "time": [1_700_000_000_000_900, 1_700_000_000_000_100]}), path
    )
    assert examples(run(tmp_path, path)) == [(1, [6, 5], 1)]


def test_arrow_types_of_other_tools(tmp_path, examples):
    path = tmp_path / "log.parquet"
    item = pa.array(["x", "y", "x"]).dictionary_encode()
    time = pa.array([1000, 2000, 3000], pa.timestamp("ns", "America/New_York"))
    pq.write_table(pa.table({"session": pa.array([1, 1, 1], pa.uint8()), "item": item, "time": time}), path)
    assert examples(run(tmp_path, path)) == [(1, ["x", "y", "x"], 2)]
