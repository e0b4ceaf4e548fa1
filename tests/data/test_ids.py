"""Raw ids survive unchanged and get the index TensorFlow Transform would give them."""

from __future__ import annotations

import pytest

from tfrec.data.conversion import ConversionOptions, convert
from tfrec.data.dataset import InteractionDataset


def test_big_and_negative_integer_ids(convert_rows, examples):
    items = [2**31 + 5, 2**63 - 1, -(2**63), -4]
    sessions = [2**62 + 1, 2**62 + 1, -7, -7]
    rows = list(zip(sessions, items, [1, 2, 3, 4], strict=True))
    assert examples(convert_rows(rows)) == [(2**62 + 1, items[:2], 1), (-7, items[2:], 1)]


def test_string_ids(convert_rows, examples):
    rows = [("ü-1", "naïve, item", 1), ("ü-1", '"quoted"', 2), ("b", "000", 3), ("b", "x" * 300, 4)]
    dataset = convert_rows(rows)
    assert examples(dataset) == [("ü-1", ["naïve, item", '"quoted"'], 1), ("b", ["000", "x" * 300], 1)]
    assert dataset.manifest.columns.item_id_type == dataset.manifest.columns.user_id_type == "string"


def test_index_by_count_then_text_descending(convert_rows):
    # 10, 9 and 2 occur once, 5 twice: as text "9" > "2" > "10".
    dataset = convert_rows([(1, 10, 1), (1, 9, 2), (1, 2, 3), (1, 5, 4), (1, 5, 5)])
    assert dataset.item_vocabulary.ids.tolist() == [5, 9, 2, 10]
    assert dataset.item_vocabulary.counts.tolist() == [0, 0, 2, 1, 1, 1]


def test_string_ties_by_bytes_descending(convert_rows):
    # UTF-8: B = 42, a = 61, é = c3 a9, 文 = e6 ..; "ab" > "a" because the prefix is smaller.
    dataset = convert_rows([(1, item, second) for second, item in enumerate(["é", "a", "文", "B", "ab"])])
    assert dataset.item_vocabulary.ids.tolist() == ["文", "é", "ab", "a", "B"]


def test_vocabulary_counts_training_examples_only(convert_rows):
    day = 86_400
    rows = [(1, 5, 0), (1, 6, 1), (2, 6, 2), (2, 5, 3), (3, 6, 4), (4, 6, 9 * day), (4, 6, 10 * day), (4, 7, 10 * day)]
    dataset = convert_rows(rows, split="session_time", test_days=5)
    # Session 3 has one event and is no example; session 4 is test.
    assert dataset.item_vocabulary.ids.tolist() == [6, 5]
    assert dataset.item_vocabulary.counts.tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "-2", "9223372036854775807"], "int64", [1, -2, 2**63 - 1]),
        (["1", "02", "3"], "string", ["1", "02", "3"]),
        (["1", "2.0", "3"], "string", ["1", "2.0", "3"]),
        (["1", "+2", "3"], "string", ["1", "+2", "3"]),
        (["1", "9223372036854775808", "3"], "string", ["1", "9223372036854775808", "3"]),
    ],
)
def test_ids_in_text_files_are_integers_only_when_all_are_canonical(tmp_path, examples, values, kind, expected):
    path = tmp_path / "log.tsv"
    path.write_text("session_id\titem_id\ttimestamp\n" + "".join(f"1\t{v}\t{n}\n" for n, v in enumerate(values)))
    options = ConversionOptions(
        output=str(tmp_path / "DS"), input=[str(path)], split="random_user", test_fraction=0, valid_fraction=0
    )
    assert convert(options).columns.item_id_type == kind
    assert examples(InteractionDataset.open(tmp_path / "DS"), "train") == [(1, expected, 2)]


def test_a_late_non_integer_makes_the_whole_column_strings(tmp_path, examples):
    # Only the first 1,000 rows are looked at before the type is guessed.
    path = tmp_path / "log.csv"
    rows = [f"1,{n},{n}" for n in range(1500)] + ["1,1e3,1500"]
    path.write_text("session_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    options = ConversionOptions(
        output=str(tmp_path / "DS"), input=[str(path)], split="random_user", test_fraction=0, valid_fraction=0
    )
    convert(options)
    ((_, items, _),) = examples(InteractionDataset.open(tmp_path / "DS"), "train")
    assert items == [str(n) for n in range(1500)] + ["1e3"]
