"""Each kind of bad input gives one error that says where, what and what to do; nothing is left behind."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.errors import ConfigError, DataError

GOOD = {"session_id": [1, 1, 2, 2], "item_id": [5, 6, 5, 6], "timestamp": [10, 20, 30, 40]}


def failure(tmp_path: Path, *files: Path, **options: Any) -> DataError:
    """Converts, expects a DataError, checks that nothing was written, and returns the error."""
    values = {"output": str(tmp_path / "out" / "DS"), "input": [str(file) for file in files], "split": "random_user"}
    with pytest.raises(DataError) as caught:
        convert(ConversionOptions(**{**values, **options}))
    assert not (tmp_path / "out" / "DS.partial").exists()
    assert not (tmp_path / "out" / "DS" / "manifest.json").exists()
    assert caught.value.remedy
    assert caught.value.exit_code == 3
    return caught.value


def parquet(tmp_path: Path, name: str = "log.parquet", **columns: Any) -> Path:
    path = tmp_path / name
    pq.write_table(pa.table({**GOOD, **columns}), path)
    return path


def text(tmp_path: Path, content: str, name: str = "log.tsv") -> Path:
    path = tmp_path / name
    path.write_text(content)
    return path


def test_missing_column_names_the_closest(tmp_path):
    error = failure(tmp_path, parquet(tmp_path), item_col="item_ids")
    assert "`item_ids` (--item-col)" in str(error)
    assert "Did you mean `item_id`?" in str(error)
    assert str(error).startswith(f"`{tmp_path}/log.parquet`")


def test_missing_column_in_the_second_file(tmp_path):
    second = tmp_path / "second.parquet"
    pq.write_table(pa.table({"session_id": [1], "item": [1], "timestamp": [1]}), second)
    error = failure(tmp_path, parquet(tmp_path), second)
    assert error.file == str(second)
    assert "Did you mean `item`?" in str(error)


def test_no_user_or_session_column(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"sessionid": [1], "item_id": [1], "timestamp": [1]}), path)
    error = failure(tmp_path, path)
    assert "Did you mean `sessionid`?" in str(error)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("item_id", [1.0, 2.0, 3.0, 4.0], "integers or strings; the column is DOUBLE"),
        ("session_id", [True, False, True, False], "the column is BOOLEAN"),
        ("timestamp", [True, False, True, False], "the column is BOOLEAN"),
        ("timestamp", [[1], [2], [3], [4]], r"the column is BIGINT\[\]"),
    ],
)
def test_wrong_type(tmp_path, column, values, words):
    error = failure(tmp_path, parquet(tmp_path, **{column: values}))
    assert error.column == column
    assert words.replace("\\", "") in str(error)


def test_ids_of_two_types(tmp_path):
    second = parquet(tmp_path, "second.parquet", item_id=["a", "b", "c", "d"])
    error = failure(tmp_path, parquet(tmp_path, "first.parquet"), second)
    assert (error.file, error.column) == (str(second), "item_id")
    assert "first.parquet" in str(error)


def test_an_id_beyond_int64(tmp_path):
    values = pa.array([1, 2, 2**63 + 1, 4], pa.uint64())
    error = failure(tmp_path, parquet(tmp_path, item_id=values))
    assert (error.column, error.row) == ("item_id", 3)
    assert "`9223372036854775809` is not an int64" in str(error)


def test_text_ids_beside_integer_ids_of_parquet(tmp_path):
    second = text(tmp_path, "session_id\titem_id\ttimestamp\n1\t5\t1\n1\tshoe\t2\n")
    error = failure(tmp_path, parquet(tmp_path), second)
    assert (error.file, error.column, error.row) == (str(second), "item_id", 2)
    assert "`shoe`" in str(error)


@pytest.mark.parametrize("column", ["session_id", "item_id"])
def test_null_id(tmp_path, column):
    first = parquet(tmp_path, "a.parquet")
    second = parquet(tmp_path, "b.parquet", **{column: [1, None, 3, None]})
    error = failure(tmp_path, first, second)
    # Rows count from 1 within the named file.
    assert (error.file, error.column, error.row) == (str(second), column, 2)
    assert "null" in str(error)
    assert "2 such rows" in str(error)


def test_empty_id_in_text(tmp_path):
    path = text(tmp_path, "session_id\titem_id\ttimestamp\n1\t5\t1\n1\t\t2\n")
    error = failure(tmp_path, path)
    assert (error.file, error.column, error.row) == (str(path), "item_id", 2)


@pytest.mark.parametrize(
    ("values", "row", "words"),
    [
        ([10, None, 30, 40], 2, "null"),
        ([10.0, 20.0, float("nan"), 40.0], 3, "`nan` is not a finite number"),
        ([10.0, float("inf"), 30.0, 40.0], 2, "`inf` is not a finite number"),
        ([10, 20, 30, -1], 4, "`-1` is negative"),
        (["2024-01-01", "2024-01-02", "yesterday", "2024-01-03"], 3, "`yesterday` cannot be parsed as a datetime"),
        (["1", "2", "soon", "4"], 3, "`soon` cannot be parsed as a number"),
        ([datetime.datetime(2024, 1, 1), None, None, None], 2, "null (3 such rows"),
        ([datetime.datetime(1960, 1, 1)] * 4, 1, "negative (before 1970)"),
    ],
)
def test_bad_times(tmp_path, values, row, words):
    error = failure(tmp_path, parquet(tmp_path, timestamp=values))
    assert (error.column, error.row) == ("timestamp", row)
    assert words in str(error).replace("is null", "null")


def test_a_unit_that_leads_beyond_the_year_9999(tmp_path):
    error = failure(tmp_path, parquet(tmp_path, timestamp=[1, 2, 1_700_000_000_000, 4]), time_unit="s")
    assert (error.column, error.row) == ("timestamp", 3)
    assert "--time-unit" in str(error)


def test_numbers_in_one_file_and_datetimes_in_the_other(tmp_path):
    second = parquet(tmp_path, "b.parquet", timestamp=[datetime.datetime(2024, 1, 1)] * 4)
    error = failure(tmp_path, parquet(tmp_path, "a.parquet"), second)
    assert (error.file, error.column) == (str(second), "timestamp")


def test_an_empty_file(tmp_path):
    path = text(tmp_path, "")
    assert "The file is empty" in str(failure(tmp_path, parquet(tmp_path), path))


@pytest.mark.parametrize("name", ["log.tsv", "log.csv", "log.parquet"])
def test_a_file_without_rows(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.table(GOOD).slice(0, 0), path)
    else:
        path.write_text(("," if name.endswith("csv") else "\t").join(GOOD) + "\n")
    error = failure(tmp_path, path)
    assert error.file == str(path)
    assert "no data rows" in str(error)


def test_empty_parts_of_a_directory_are_fine_unless_all_are_empty(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    pq.write_table(pa.table(GOOD).slice(0, 0), folder / "part-0.parquet")
    assert "No data rows in any input file" in str(failure(tmp_path, folder))
    pq.write_table(pa.table(GOOD), folder / "part-1.parquet")
    options = ConversionOptions(output=str(tmp_path / "DS"), input=[str(folder)], test_fraction=0, split="random_user")
    assert convert(options).counts.events_read == 4


def test_no_file_matches(tmp_path):
    assert "No file matches" in str(failure(tmp_path, tmp_path / "*.parquet"))
    assert "No such file" in str(failure(tmp_path, tmp_path / "absent.parquet"))
    (tmp_path / "folder").mkdir()
    assert "No data file in the directory" in str(failure(tmp_path, tmp_path / "folder"))


def test_unknown_suffix(tmp_path):
    error = failure(tmp_path, text(tmp_path, "x", "log.xls"))
    assert "`.xls`" in str(error)
    assert "--format" in str(error)


def test_not_a_parquet_file(tmp_path):
    path = text(tmp_path, "this is text, not Parquet", "log.parquet")
    error = failure(tmp_path, path)
    assert error.file == str(path)
    assert "Parquet" in str(error)


def test_a_truncated_parquet_file(tmp_path):
    path = parquet(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    assert failure(tmp_path, path).file == str(path)


def test_a_line_with_too_many_fields(tmp_path):
    path = text(tmp_path, "session_id\titem_id\ttimestamp\n1\t5\t1\n1\t6\t2\t9\n1\t7\t3\n")
    error = failure(tmp_path, path)
    assert (error.file, error.row) == (str(path), 2)


def test_a_broken_json_line(tmp_path):
    rows = ['{"session_id": 1, "item_id": 5, "timestamp": 1}', '{"session_id": 1, "item_id": 6,', "[1]"]
    path = text(tmp_path, "\n".join(rows), "log.jsonl")
    error = failure(tmp_path, path)
    assert (error.file, error.row) == (str(path), 2)


def test_repeated_header(tmp_path):
    path = text(tmp_path, "session_id\titem_id\titem_id\ttimestamp\n1\t5\t1\t2\n")
    assert "`item_id` twice" in str(failure(tmp_path, path))


def test_one_event_users_only(tmp_path):
    error = failure(tmp_path, parquet(tmp_path, session_id=[1, 2, 3, 4]))
    assert "longest has 1 events" in str(error)
    assert "--min-seq-len" in str(error)


def test_an_existing_output_is_not_touched(tmp_path):
    output = tmp_path / "out" / "DS"
    output.mkdir(parents=True)
    (output / "precious").write_text("mine")
    error = failure(tmp_path, parquet(tmp_path), overwrite=False)
    assert "--overwrite" in str(error)
    # Nor with --overwrite, because it is no dataset.
    error = failure(tmp_path, parquet(tmp_path), overwrite=True)
    assert "not a dataset directory" in str(error)
    assert (output / "precious").read_text() == "mine"


def test_no_input():
    with pytest.raises(DataError, match="--input"):
        convert(ConversionOptions(output="unused"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"input": ["a"], "train": ["b"]}, "exclude each other"),
        ({"test": ["b"]}, "need `--train`"),
        ({"train": ["b"], "split": "leave_one_out"}, "not split again"),
        ({"input": ["b"], "split": "given"}, "needs `--train`"),
        ({"input": ["b"], "test_fraction": 0.6, "valid_fraction": 0.4}, "leave no training data"),
        ({"split": "global_time", "valid_days": 7}, "`--valid-days` needs `--test-days`"),
        ({"user_col": "u", "valid_days": 7}, "`--valid-days` needs `--test-days`"),
        ({"split": "global_time", "test_days": 7, "valid_fraction": 0}, "`--valid-fraction` and `--test-days` exclude"),
        ({"split": "leave_one_out", "test_days": 1}, "`--test-days` has no effect .* `leave_one_out`"),
        ({"split": "random_user", "valid_days": 0}, "`--valid-days` has no effect .* `random_user`"),
        ({"train": ["a"], "test_days": 1}, "`--test-days` has no effect .* `given`"),
        ({"train": ["a"], "test_fraction": 0.1}, "`--test-fraction` has no effect .* `given`"),
        ({"split": "leave_one_out", "valid_fraction": 0.1}, "`--valid-fraction` has no effect .* `leave_one_out`"),
        ({"split": "session_time", "test_fraction": 0.1}, "`--test-fraction` .*: `global_time`, `random_user`"),
        ({"session_col": "s", "valid_fraction": 0.2}, "`--valid-fraction` has no effect .* `session_time`"),
        ({"split": "session_time_last", "split_time": 5}, "`--split-time` .* `session_time_last`.*: `session_time`"),
        ({"split": "global_time", "split_time": 5}, "`--split-time` has no effect .* `global_time`"),
    ],
)
def test_options_that_contradict_each_other_or_their_rule(values, words):
    with pytest.raises(ConfigError, match=words):
        ConversionOptions(output="unused", **values)
