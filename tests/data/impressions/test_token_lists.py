"""Lists held in text: both parsers against Python's `split`."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfrec.data.impressions.token_lists import arrow_lists, split_lists


@given(
    st.lists(st.lists(st.integers(0, 10**9), max_size=12), min_size=1, max_size=300),
    st.integers(1, 8),
    st.sampled_from(["last", "first"]),
)
def test_numbers_are_those_of_the_text(rows: list[list[int]], longest: int, keep: str) -> None:
    texts = [",".join(map(str, row)) for row in rows]
    lists = split_lists(pa.array(texts), ",", longest, keep)
    expected = [row[-longest:] if keep == "last" else row[:longest] for row in rows]
    found = [int(text) for text in lists.as_texts().to_pylist()]
    assert [found[start:stop] for start, stop in zip(lists.offsets, lists.offsets[1:], strict=False)] == expected
    if all(token < 10**9 for row in rows for token in row):
        assert lists.numbers is not None


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("7,07", ["7", "07"]),
        ("a, b", ["a", "b"]),
        (",5", ["", "5"]),
        ("5,", ["5", ""]),
        ("1,,2", ["1", "", "2"]),
        ("1234567890", ["1234567890"]),
        ("-3", ["-3"]),
        ("0,10,0", ["0", "10", "0"]),
    ],
)
def test_what_is_no_plain_number_stays_text(text: str, tokens: list[str]) -> None:
    lists = split_lists(pa.array(["8", text, None, ""]), ",", 10, "last")
    assert lists.as_texts().to_pylist() == ["8", *tokens]
    assert lists.offsets.tolist() == [0, 1, 1 + len(tokens), 1 + len(tokens), 1 + len(tokens)]


def test_separators_of_several_characters() -> None:
    lists = split_lists(pa.array(["1::22", "3"]), "::", 10, "last")
    assert lists.as_texts().to_pylist() == ["1", "22", "3"]
    assert lists.offsets.tolist() == [0, 2, 3]


def test_arrow_lists_of_a_slice() -> None:
    column = pa.array([[9], [1, 2, 3], None, [4]]).slice(1)
    lists = arrow_lists(column, 2, "last")
    assert lists.numbers is not None
    assert lists.numbers.tolist() == [2, 3, 4]
    assert lists.offsets.tolist() == [0, 2, 2, 3]
    assert arrow_lists(pa.array([["b", "a"]]), 1, "first").as_texts().to_pylist() == ["b"]
