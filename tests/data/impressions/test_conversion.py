"""Impressions from Parquet and CSV to batches: every value against pandas."""

from __future__ import annotations

import collections
import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.impressions import impression_conversion
from tfrec.data.impressions.column_values import read_lists
from tfrec.data.impressions.impression_batches import batch_of_columns, impression_batches
from tfrec.data.impressions.impression_conversion import convert_impressions
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.impressions.impression_options import impression_options
from tfrec.data.impressions.row_plan import assign_rows
from tfrec.errors import ConfigError, DataError, SchemaMismatchError

ROLES: dict[str, Any] = {
    "label": "y",
    "categorical": ["c", {"name": "d", "min_count": 2}],
    "numeric": ["n", {"name": "q", "scaling": "quantile"}],
    "sequence": [{"name": "s", "max_length": 2}, {"name": "t", "vocabulary": "c", "separator": "|"}],
}
ROWS = pd.DataFrame(
    {
        "y": [1, 0, 0, 1],
        "c": [5.0, 7.0, None, 7.0],
        "d": ["a", "b", "b", ""],
        "n": [2.0, None, 6.0, 4.0],
        "q": [10.0, 30.0, 20.0, 20.0],
        "s": ["3,1,3", "3", None, "2,9"],
        "t": ["7|5", "", "7", "6"],
    }
)


def converted(tmp_path: Path, frame: pd.DataFrame, name: str = "DS", **options: Any) -> ImpressionDataset:
    file = tmp_path / f"{name}.parquet"
    frame.to_parquet(file, index=False)
    values = {"split": "tail", "valid_fraction": 0.0, "test_fraction": 0.0, "impressions": ROLES, **options}
    convert_impressions(impression_options(output=str(tmp_path / name), input=(str(file),), **values))
    return ImpressionDataset.open(tmp_path / name)


def only_batch(dataset: ImpressionDataset, split: str = "train", **options: Any) -> dict[str, Any]:
    (batch,) = impression_batches(dataset, split, 100, **options).as_numpy_iterator()
    return dict(batch)


def test_every_rule_by_hand(tmp_path: Path) -> None:
    dataset = converted(tmp_path, ROWS)
    batch = only_batch(dataset)
    # c and t share a vocabulary: 7 occurs 4 times, 5 twice, 6 once -> 2, 3, 4; missing -> 1 (out of vocabulary).
    assert batch["c"].tolist() == [3, 2, 1, 2]
    assert batch["t"].tolist() == [[2, 3], [0, 0], [2, 0], [4, 0]]
    assert batch["t/length"].tolist() == [2, 0, 1, 1]
    # `a` occurs once, below its minimum; the empty text is missing.
    assert batch["d"].tolist() == [1, 2, 2, 1]
    # min-max over 2 .. 6; a missing number counts as 0 before scaling: (0 - 2) / 4.
    assert batch["n"].tolist() == [0.0, -0.5, 1.0, 0.5]
    assert batch["q"][0] == 0.0
    assert batch["q"][1] == 1.0
    assert 0.0 < batch["q"][2] == batch["q"][3] < 1.0
    # The last two of each list count: 3 twice, then 1, 2, 9 in the order of their texts.
    assert batch["s"].tolist() == [[3, 2], [2, 0], [0, 0], [4, 5]]
    assert batch["s/length"].tolist() == [2, 1, 0, 2]
    assert batch["label"].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert [field.size for field in dataset.encoder.fields.fields] == [5, 3, 0, 0, 6, 5]


def test_a_shorter_window_and_rows_in_memory(tmp_path: Path) -> None:
    dataset = converted(tmp_path, ROWS)
    batch = only_batch(dataset, max_length=1)
    assert batch["s"].tolist() == [[2], [2], [0], [5]]
    fields = dataset.encoder.fields
    rows = pa.RecordBatch.from_pandas(ROWS)
    in_memory = batch_of_columns(dataset.encoder.encode(rows, file="memory"), fields, 1)
    for name, values in in_memory.items():
        np.testing.assert_array_equal(values, batch[name])


def test_test_rows_use_what_training_rows_taught(tmp_path: Path) -> None:
    dataset = converted(tmp_path, ROWS, test_fraction=0.25)
    batch = only_batch(dataset, "test")
    assert batch["t"].tolist() == [[1]]  # 6 is unknown to the first three rows
    assert batch["n"].tolist() == [0.5]
    assert batch["s"].tolist() == [[1, 1]]


def test_generated_log_against_pandas(impression_log: Path, impression_dataset: ImpressionDataset) -> None:
    frame = pd.read_parquet(impression_log)
    assert frame.shape[1] == 119
    fields = impression_dataset.encoder.fields
    assert len(fields.fields) == 5 + 75 + 1
    folds = np.concatenate([only_batch_labels(impression_dataset, split) for split in ("train", "valid", "test")])
    assert folds.sum() == frame["clicked"].sum()
    assert [impression_dataset.num_rows(split) for split in impression_dataset.splits] == [2400, 300, 300]
    vocabulary = impression_dataset.encoder.vocabularies["seq"]
    train = pd.concat([pd.DataFrame({"n": batch["l_feat_1"]}) for batch in batches(impression_dataset, "train")])
    assert train["n"].min() == 0.0
    assert train["n"].max() == 1.0
    options = impression_dataset.manifest.options
    kept = train_rows(impression_log, options)
    counts = collections.Counter(token for text in frame["seq"][kept] for token in text.split(",")[-500:])
    expected = sorted(counts, key=lambda token: (-counts[token], token))
    assert vocabulary.ids.tolist() == expected
    lookup = {token: index + 2 for index, token in enumerate(expected)}
    first = next(batches(impression_dataset, "train"))
    row = frame[kept].iloc[0]
    assert first["seq"][0, : first["seq/length"][0]].tolist() == [lookup[t] for t in row["seq"].split(",")[-500:]]


def train_rows(log: Path, options: dict[str, Any]) -> np.ndarray:
    checked = impression_options(**{**options, "impressions": options["impressions"]})
    return np.asarray(assign_rows(checked, impression_conversion.given_sources(checked)) == 0)


def batches(dataset: ImpressionDataset, split: str) -> Any:
    return impression_batches(dataset, split, 512).as_numpy_iterator()


def only_batch_labels(dataset: ImpressionDataset, split: str) -> np.ndarray:
    return np.concatenate([batch["label"] for batch in batches(dataset, split)])


def test_splits_and_samples(tmp_path: Path, impression_log: Path) -> None:
    frame = pd.read_parquet(impression_log, columns=["clicked", "day_of_week"])
    roles = {"label": "clicked", "categorical": ["hour"]}

    def folds(**options: Any) -> np.ndarray:
        checked = impression_options(output="x", input=(str(impression_log),), impressions=roles, **options)
        return assign_rows(checked, impression_conversion.given_sources(checked))

    by_day = folds(split="day", day_column="day_of_week")
    assert by_day.tolist() == [{"6": 1, "7": 2}.get(day, 0) for day in frame["day_of_week"]]
    turned = pd.Categorical(frame["day_of_week"].iloc[::-1], categories=list("1234567"))
    pd.DataFrame({"clicked": 0, "hour": "1", "day": turned}).to_parquet(tmp_path / "days.parquet", index=False)
    days: dict[str, Any] = {"output": "x", "impressions": roles, "split": "day", "day_column": "day"}
    checked = impression_options(input=(str(tmp_path / "days.parquet"),), **days)
    found = assign_rows(checked, impression_conversion.given_sources(checked))
    assert found.tolist() == [{"2": 1, "1": 2}.get(day, 0) for day in frame["day_of_week"].iloc[::-1]]
    pd.DataFrame({"clicked": 0, "hour": "1", "day": ["1", None, "2"]}).to_parquet(
        tmp_path / "none.parquet", index=False
    )
    checked = impression_options(input=(str(tmp_path / "days.parquet"), str(tmp_path / "none.parquet")), **days)
    with pytest.raises(DataError, match=r"none.parquet`, column `day`, row 2: A day is missing"):
        assign_rows(checked, impression_conversion.given_sources(checked))
    tail = folds(split="tail", valid_fraction=0.1, test_fraction=0.2)
    assert tail.tolist() == [0] * 2100 + [1] * 300 + [2] * 600
    moments = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.random.default_rng(1).permutation(3000) // 2, "h")
    table = pd.read_parquet(impression_log, columns=["clicked", "hour"])
    kinds = {"ns": moments, "text": moments.astype(str), "seconds": moments.astype("int64") / 1e9}
    order = np.argsort(moments, kind="stable")
    for name, times in kinds.items():
        table.assign(moment=times).to_parquet(tmp_path / f"{name}.parquet", index=False)
        checked = impression_options(
            output="x",
            input=(str(tmp_path / f"{name}.parquet"),),
            impressions=roles,
            split="time",
            time_column="moment",
        )
        found = assign_rows(checked, impression_conversion.given_sources(checked))
        assert found[order].tolist() == [0] * 2400 + [1] * 300 + [2] * 300, name
    with pytest.raises(ConfigError, match="split=time and --time-col"):
        folds(split="time")
    table.assign(moment=moments.where(moments.hour != 5)).to_parquet(tmp_path / "gap.parquet", index=False)
    checked = checked.model_copy(update={"input": (str(tmp_path / "gap.parquet"),)})
    with pytest.raises(DataError, match=rf"column `moment`, row {np.argmax(moments.hour == 5) + 1}: A time is missing"):
        assign_rows(checked, impression_conversion.given_sources(checked))
    drawn = folds(sample=600, stratify="clicked", valid_fraction=0.0, test_fraction=0.5, seed=3)
    used = drawn != 255
    assert used.sum() == 600
    clicks = round(600 * frame["clicked"].mean())
    assert abs(int(frame["clicked"][used].sum()) - clicks) <= 1
    assert set(frame["day_of_week"][used]) == set("1234567")  # from the whole file, not from its head
    assert not np.array_equal(drawn, folds(sample=600, stratify="clicked", valid_fraction=0.0, test_fraction=0.5))


def test_interrupted_conversion_resumes_with_the_same_bytes(
    tmp_path: Path, impression_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = {"label": "clicked", "categorical": ["hour"], "numeric": ["l_feat_*"], "sequence": ["seq"]}

    def run(name: str, **options: Any) -> None:
        convert_impressions(
            impression_options(
                output=str(tmp_path / name), input=(str(impression_log),), impressions=roles, shards=5, **options
            )
        )

    run("whole")
    original = impression_conversion.ImpressionWriter.write
    calls = iter(range(100))

    def interrupted(self: Any, *arguments: Any) -> None:
        if next(calls) == 7:
            raise KeyboardInterrupt
        original(self, *arguments)

    monkeypatch.setattr(impression_conversion.ImpressionWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("parts")
    assert not (tmp_path / "parts").exists()
    assert list((tmp_path / "parts.partial" / "train").glob("*.tfrecord"))
    monkeypatch.undo()
    run("parts", resume=True)
    for file in sorted((tmp_path / "whole").rglob("*.tfrecord")):
        other = tmp_path / "parts" / file.relative_to(tmp_path / "whole")
        assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()
    assert not list((tmp_path / "parts").rglob("*.tmp"))


def test_bad_input_names_file_and_column(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column `n`: The column is missing\. Write the file with it"):
        converted(tmp_path, ROWS.drop(columns="n"), "a")
    with pytest.raises(DataError, match=r"column `y`, row 3: A label is `3`"):
        converted(tmp_path, ROWS.assign(y=[0, 1, 3, 0]), "b")
    assert not list(tmp_path.glob("b.partial"))
    with pytest.raises(DataError, match=r"column `n`, row 2: Not a number: `x`"):
        converted(tmp_path, ROWS.assign(n=["1", "x", "2", "3"]), "c")
    with pytest.raises(DataError, match=r"column `n`, row 2: A number is infinite"):
        converted(tmp_path, ROWS.assign(n=[1.0, np.inf, 0.0, 0.0]), "d")
    with pytest.raises(ConfigError, match="split=given goes with --train"):
        impression_options(output="x", impressions=ROLES, input=("a",), split="given")
    with pytest.raises(ConfigError, match="`y` is the label"):
        impression_options(output="x", input=("a",), impressions={**ROLES, "numeric": ["y"]})


def test_damaged_and_foreign_datasets(tmp_path: Path) -> None:
    dataset = converted(tmp_path, ROWS)
    other = converted(tmp_path, ROWS.assign(d=["z", "z", "b", "b"]), "other")
    with pytest.raises(SchemaMismatchError, match="`d`: expected"):
        other.check_fields(dataset.encoder)
    shard = Path(dataset.shard_paths("train")[0])
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        dataset.verify("train")
    shard.write_bytes(b"")
    with pytest.raises(DataError, match="0 bytes, the manifest says"):
        ImpressionDataset.open(dataset.path)


def test_csv_gives_what_parquet_gives(tmp_path: Path) -> None:
    by_parquet = only_batch(converted(tmp_path, ROWS))
    file = tmp_path / "rows.csv"
    ROWS.to_csv(file, index=False)
    options = {"split": "tail", "valid_fraction": 0.0, "test_fraction": 0.0, "impressions": ROLES}
    convert_impressions(impression_options(output=str(tmp_path / "csv"), input=(str(file),), **options))
    batch = only_batch(ImpressionDataset.open(tmp_path / "csv"))
    for name, values in by_parquet.items():
        np.testing.assert_array_equal(batch[name], values, err_msg=name)


def test_lists_of_a_parquet_list_column(tmp_path: Path) -> None:
    table = pa.table({"y": [0, 1], "s": pa.array([[5, 6], [5]], pa.list_(pa.int64()))})
    file = tmp_path / "lists.parquet"
    pq.write_table(table, file)
    roles = {"label": "y", "sequence": ["s"]}
    options = {"split": "tail", "valid_fraction": 0.0, "test_fraction": 0.0, "impressions": roles}
    convert_impressions(impression_options(output=str(tmp_path / "lists"), input=(str(file),), **options))
    assert only_batch(ImpressionDataset.open(tmp_path / "lists"))["s"].tolist() == [[2, 3], [2, 0]]


def test_values_mean_the_same_however_they_are_stored(tmp_path: Path) -> None:
    """Decimals, dictionaries, booleans, text with spaces, and lists."""
    roles = {"label": "y", "categorical": ["c"], "numeric": ["n"], "sequence": [{"name": "s", "max_length": 3}]}
    plain = {"y": [1, 0, 1], "c": ["7", None, "8"], "n": [2.0, None, 4.5], "s": ["1,2", None, "2,1"]}
    columns: dict[str, list[Any]] = {
        "y": [pa.array(plain["y"]), pa.array([True, False, True]), pa.array(["1", " 0", "1.0"])],
        "c": [
            pa.array([7, None, 8]),
            pa.array([Decimal("7.00"), None, Decimal("8.00")]),
            pa.array([Decimal("7"), None, Decimal("8")]),
            pa.array(["7.0", None, "8"]).dictionary_encode(),
        ],
        "n": [
            pa.array(["2", "", " 4.5 "]),
            pa.array(["2", None, "4.5"]).dictionary_encode(),
            pa.array([Decimal("2.0"), None, Decimal("4.5")]),
        ],
        "s": [
            pa.array(plain["s"]).dictionary_encode(),
            pa.array([["1", "2"], [], ["2", "1"]], pa.large_list(pa.string())),
        ],
    }

    def batch(name: str, table: pa.Table) -> dict[str, Any]:
        pq.write_table(table, tmp_path / f"{name}.parquet")
        options = {"split": "tail", "valid_fraction": 0.0, "test_fraction": 0.0, "impressions": roles}
        files = (str(tmp_path / f"{name}.parquet"),)
        convert_impressions(impression_options(output=str(tmp_path / name), input=files, overwrite=True, **options))
        return only_batch(ImpressionDataset.open(tmp_path / name))

    expected = batch("plain", pa.table(plain))
    assert expected["n"].tolist() == pytest.approx([0.0, -0.8, 1.0])  # missing counts as 0, before scaling
    for name, kinds in columns.items():
        for values in kinds:
            found = batch("other", pa.table({**plain, name: values}))
            for part, wanted in expected.items():
                np.testing.assert_array_equal(found[part], wanted, err_msg=f"{name} {values.type} {part}")
    fixed = read_lists(pa.array([[1, 2], None, [2, 1]], pa.list_(pa.int32(), 2)), ",", 3, "last", "s", "memory")
    assert (fixed.offsets.tolist(), fixed.as_texts().to_pylist()) == ([0, 2, 2, 4], ["1", "2", "2", "1"])
    for name, odd in {"c": pa.array([[1], [2], [3]]), "s": pa.array([[[1]], [[2]], [[3]]])}.items():
        with pytest.raises(DataError, match=f"column `{name}`: Not .*ids"):
            batch("odd", pa.table({**plain, name: odd}))


def test_rows_of_errors_are_counted_within_their_file(tmp_path: Path) -> None:
    frame = pd.concat([ROWS] * 700, ignore_index=True)
    frame["n"] = frame["n"].astype(str).replace("nan", None)
    frame.loc[1500, "n"] = "much"
    for name, part in {"first": ROWS, "second": frame}.items():
        part.assign(n=part["n"].astype("string")).to_parquet(tmp_path / f"{name}.parquet", index=False)
    files = tuple(str(tmp_path / f"{name}.parquet") for name in ("first", "second"))
    options = {"impressions": ROLES, "input": files, "split": "tail", "test_fraction": 0.0}
    for share in (0.1, 0.9):  # among the rows that are learnt from, and among those that are only written
        with pytest.raises(DataError, match=r"second\.parquet`, column `n`, row 1501: Not a number: `much`"):
            convert_impressions(impression_options(output=str(tmp_path / "DS"), **options, valid_fraction=share))
