"""What counts as an equal answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfrec.serving.replay import binary, compare_outputs, foreign_ops

LOWEST = float(np.finfo(np.float32).min)
EXPECTED: dict[str, Any] = {
    "items": [["a", "b", "c", "d", "e"], ["x", "y", "", "", ""]],
    "scores": [[5.0, 4.0, 4.0 - 1e-7, 2.0, 1.0], [0.5, 0.25, LOWEST, LOWEST, LOWEST]],
    "count": [5, 2],
}


def changed(name: str, row: int, values: list[Any]) -> dict[str, Any]:
    received = {
        key: [list(inner) if isinstance(inner, list) else inner for inner in value] for key, value in EXPECTED.items()
    }
    received[name][row] = values
    return received


def test_equal_answers_as_lists_arrays_and_bytes() -> None:
    assert compare_outputs(EXPECTED, EXPECTED) == []
    arrays = {
        "items": np.array([[text.encode() for text in row] for row in EXPECTED["items"]], object),
        "scores": np.array(EXPECTED["scores"], np.float32),
        "count": np.array(EXPECTED["count"], np.int32),
    }
    assert compare_outputs(EXPECTED, arrays) == []


@pytest.mark.parametrize(
    ("items", "differs"),
    [
        (["a", "c", "b", "d", "e"], False),  # scores that float32 cannot tell apart have no order
        (["b", "a", "c", "d", "e"], True),
        (["a", "b", "b", "d", "e"], True),
        (["a", "b", "c", "d", "f"], True),
        (["a", "b", "c", "e", "d"], True),
    ],
)
def test_items_are_compared_exactly_but_for_ties(items: list[str], differs: bool) -> None:
    assert bool(compare_outputs(EXPECTED, changed("items", 0, items))) == differs


def test_ties_at_the_end_of_a_list_may_be_cut_differently() -> None:
    expected = {"items": [[1, 2, 3]], "scores": [[3.0, 2.0, 2.0]], "count": [3]}
    assert compare_outputs(expected, {**expected, "items": [[1, 3, 9]]}) == []
    assert compare_outputs(expected, {**expected, "items": [[1, 9, 9]]})
    whole = {"items": [[1, 2, 3, 0]], "scores": [[3.0, 2.0, 2.0, LOWEST]], "count": [3]}  # nothing was cut off
    assert compare_outputs(whole, {**whole, "items": [[1, 3, 9, 0]]})
    assert compare_outputs(whole, {**whole, "items": [[1, 3, 2, 7]]})


@pytest.mark.parametrize(
    ("name", "row", "values", "words"),
    [
        ("scores", 0, [5.0, 4.0, 4.0, 2.0, 1.0001], "`scores`[0, 4]: 1 expected, 1.0001 received"),
        ("scores", 0, [5.0, 4.0, 4.0, 2.0, float("nan")], "nan received"),
        ("scores", 1, [0.5, 0.25, LOWEST, LOWEST, 0.0], "`scores`[1, 4]"),
        ("scores", 1, [0.5, 0.25, LOWEST, LOWEST, -float("inf")], "-inf received"),
        ("count", 1, 3, "`count`: [5, 2] expected, [5, 3] received"),
        ("items", 1, ["x", "", "y", "", ""], "`items`[1]: x, y, , ,  expected"),
    ],
)
def test_differences_are_named(name: str, row: int, values: Any, words: str) -> None:
    (line,) = compare_outputs(EXPECTED, changed(name, row, values))
    assert words in line


def test_shapes_and_names() -> None:
    assert compare_outputs(EXPECTED, {"items": [[1]]}) == [
        "outputs ['count', 'items', 'scores'] expected, ['items'] received"
    ]
    (line,) = compare_outputs({"vector": [[1.0, 2.0]]}, {"vector": [[1.0]]})
    assert line == "`vector`: shape [1, 2] expected, [1, 1] received"


def test_ids_beyond_the_precision_of_floats() -> None:
    expected = {"items": [[2**62 + 1]], "scores": [[1.0]], "count": [1]}
    assert compare_outputs(expected, {**expected, "items": np.array([[2**62 + 2]])})


def test_operations_of_python_are_foreign() -> None:
    assert foreign_ops(["MatMul", "EagerPyFunc", "Addons>Something", "TopKV2"]) == ["EagerPyFunc", "Addons>Something"]


def test_binary_inputs() -> None:
    assert binary([{"b64": "AP8="}, "text", [3]]) == [b"\x00\xff", "text", [3]]
