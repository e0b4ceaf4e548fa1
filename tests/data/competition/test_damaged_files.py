"""The competition's files: refused when they could run code, are damaged or missing."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.competition.raw_files import SIZE, Harm
from tfrec.data.competition.generator import generate_competition
from tfrec.data.competition.preparation import prepare_competition
from tfrec.data.competition.restricted_pickle import load_pickle
from tfrec.data.competition.sequence_lines import SequenceLines, line_offsets, load_offsets
from tfrec.errors import DataError


def test_a_pickle_that_could_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "indexer.pkl"
    path.write_bytes(pickle.dumps({"u": Harm()}))
    with pytest.raises(DataError, match=r"system.*could run code"):
        load_pickle(path)
    assert not (tmp_path / "harmed").exists()
    path.write_bytes(pickle.dumps({"u": {1: np.arange(3)}, "n": np.float32(2.5)})[:-4])
    with pytest.raises(DataError, match="damaged"):
        load_pickle(path)
    path.write_bytes(pickle.dumps({"u": {1: np.arange(3)}, "n": np.float32(2.5)}))
    assert load_pickle(path)["u"][1].tolist() == [0, 1, 2]


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`seq\.jsonl` is missing"):
        prepare_competition(tmp_path, tmp_path / "out")
    (tmp_path / "seq.jsonl").write_text("[[1, 2]]\n[\n")
    (tmp_path / "seq_offsets.pkl").write_bytes(pickle.dumps([0, 9]))
    lines = SequenceLines(tmp_path / "seq.jsonl")
    for number in (0, 1):
        with pytest.raises(DataError, match=f"row {number + 1}: No list of records"):
            lines[number]
    (tmp_path / "seq_offsets.pkl").write_bytes(pickle.dumps([0, 99]))
    with pytest.raises(DataError, match=r"seq\.jsonl`: The last offset is not where a line begins"):
        SequenceLines(tmp_path / "seq.jsonl")


def test_a_log_that_was_cut_at_the_end_of_a_line_is_noticed(tmp_path: Path) -> None:
    generate_competition(tmp_path / "raw", SIZE)
    path = tmp_path / "raw" / "seq.jsonl"
    assert load_offsets(path).tolist() == line_offsets(path)
    path.write_bytes(path.read_bytes()[: line_offsets(path)[-1]])
    with pytest.raises(DataError, match=r"(?s)seq\.jsonl.*not where a line begins.*or remove the offsets"):
        prepare_competition(tmp_path / "raw", tmp_path / "out")


GOOD = [[[7, 1, None, {"100": 3}, 1, 10], [7, 2, None, {"100": 4}, 0, 11], [7, 1, None, {}, 0, 12]]] * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seq.jsonl": "[[7, 1, null, {}, 0, 5]]\n[[7, 1,\n"}, r"seq\.jsonl.*row 2: Not a JSON array"),
        ({"seq.jsonl": '{"user": 7}\n'}, r"row 1: Not a JSON array"),
        ({"seq.jsonl": "[[7, 1, null, {}, 0, 5], [7, 1]]\n"}, r"row 1: Record 2 is not of six values"),
        ({"seq.jsonl": '[[7, "one", null, {}, 0, 5]]\n'}, r"row 1: Record 1"),
        ({"seq.jsonl": "[[7, 1, null, {}, 0, null]]\n"}, r"row 1: Record 1"),
        ({"seq.jsonl": "[[7, 1, null, {}, 0, 5]]\n[[7, 99, null, {}, 0, 5]]\n"}, r"row 2: An event is of the item 99"),
        ({"seq.jsonl": ""}, "There are no events"),
        ({"seq.jsonl": "[]\n"}, r"row 1: Not a JSON array of records"),
        ({"seq.jsonl": f"[[7, 1, null, {{}}, 0, {10**12}]]\n"}, r"row 1: Record 1 .*seconds since 1970"),
        ({"item_feat_dict.json": '{"1": {"100": 3}, "2"'}, r"item_feat_dict.*behind 1 entries"),
        ({"item_feat_dict.json": "[]"}, r"behind 0 entries, `\[` in place of"),
        ({"item_feat_dict.json": '{"1": {"100": {"a": 3}}}'}, r"Values of the feature `100` are OBJECT"),
        (
            {"item_feat_dict.json": '{"1": {"100": [0.5]}}'},
            r"`100` are a fraction in a list: `0.5` of the item_id `500`",
        ),
        ({"item_feat_dict.json": f'{{"1": {{"100": {2**63}}}}}'}, r"`100` are no int64: `9223372036854775808`"),
        ({"item_feat_dict.json": f'{{"2": {{"100": [3, {2**63}]}}}}'}, r"`100` are no int64: `9223.*item_id `600`"),
        ({"item_feat_dict.json": '{"1": [3]}'}, r"Features are no object: `\[3\]` of the item_id `500`"),
        ({"item_feat_dict.json": '{"1": {}, "01": {}}'}, r"item_feat_dict.*The item `01` has features twice"),
        ({"item_feat_dict.json": '{"one": {}}'}, r"item_feat_dict.*`one` is no number of an item"),
        ({"item_feat_dict.json": '{"500": {}}'}, r"item_feat_dict.*`indexer\.pkl` has none of its items"),
        ({"item_feat_dict.json": b'{"1": {"100": "\xff"}}'}, r"item_feat_dict.*not UTF-8"),
        (
            {"predict_set.jsonl": '{"creative_id": 500, "retrieval_id": 3, "features": [1]}\n'},
            r"predict_set.*row 1: The `features` are no JSON object",
        ),
        ({"predict_set.jsonl": '{"creative_id": "x", "retrieval_id": 3}\n'}, r"predict_set.*row 1: A candidate needs"),
        ({"indexer.pkl": {"u": {}, "i": {500: 1, 600: 1}}}, r"indexer\.pkl.*one number stands for several"),
        ({"seq_offsets.pkl": [0, 5]}, r"seq\.jsonl.*The last offset is not where a line begins"),
        ({"seq_offsets.pkl": [1, 0]}, r"seq_offsets\.pkl.*do not rise from 0"),
        ({"seq_offsets.pkl": [0, 0]}, r"seq_offsets\.pkl.*do not rise from 0"),
        ({"seq_offsets.pkl": 0}, r"seq_offsets\.pkl.*no list of offsets"),
        ({"seq_offsets.pkl": {0: 0, 1: 9}}, r"seq_offsets\.pkl.*no"),
        ({"seq_offsets.pkl": [0, None]}, r"seq_offsets\.pkl.*There are no offsets in it"),
        ({"seq_offsets.pkl": [0]}, r"seq\.jsonl.*has 2 lines, `seq_offsets\.pkl` has the offsets of 1"),
        ({"indexer.pkl": {"u": {}, "i": {"a": 1}}}, r"indexer\.pkl.*`i` is no dictionary"),
    ],
    ids=str,
)
def test_bad_lines_are_named_with_their_row(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    files: dict[str, Any] = {
        "seq.jsonl": "".join(json.dumps(line) + "\n" for line in GOOD),
        "indexer.pkl": {"u": {"anna": 7}, "i": {500: 1, 600: 2}, "f": {}},
        "item_feat_dict.json": "{}",
    }
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, content in {**files, **change}.items():
        content = content.encode() if isinstance(content, str) else content
        (raw / name).write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
    with pytest.raises(DataError, match=rf"(?s){words}"):
        prepare_competition(raw, tmp_path / "out", vectors=())
    assert not (tmp_path / "out").exists()
