from __future__ import annotations

import dataclasses
from io import StringIO

import pytest
from rich.console import Console

from tfrec.errors import ConfigError
from tfrec.evaluation.comparison import comparison_rows, comparison_table
from tfrec.evaluation.ranking_result import RankingResult

MODEL = RankingResult(
    metrics={"recall@20": 0.5, "mrr@20": 0.25},
    chance={"recall@20": 0.01, "mrr@20": 0.002},
    num_targets=1_234,
    num_sequences=400,
    num_candidates=2_000,
    tie_rule="conservative",
    protocol="full",
    num_unknown_targets=0,
    seconds=1.0,
)
BASELINE = dataclasses.replace(MODEL, metrics={"recall@20": 0.25, "mrr@20": 0.125})


def test_rows_keep_the_order_and_end_with_chance() -> None:
    rows = comparison_rows({"gru4rec": MODEL, "markov": BASELINE}, ["mrr@20", "recall@20"])
    assert rows == [["gru4rec", 0.25, 0.5], ["markov", 0.125, 0.25], ["chance", 0.002, 0.01]]


def test_table_states_the_protocol() -> None:
    output = StringIO()
    table = comparison_table({"gru4rec": MODEL}, ["recall@20"], split="valid")
    Console(file=output, width=120).print(table)
    text = output.getvalue()
    assert table.title == "1,234 targets of `valid`, each ranked among 2,000 items (ranking: full; ties: conservative)"
    assert "0.5000" in text
    assert "0.0100" in text


@pytest.mark.parametrize(
    ("field", "value"), [("num_targets", 5), ("num_candidates", 5), ("tie_rule", "median"), ("protocol", "subset")]
)
def test_refuses_results_of_different_protocols(field: str, value: object) -> None:
    other = dataclasses.replace(BASELINE, **{field: value})
    with pytest.raises(ConfigError, match=rf"{field}.*cannot be compared"):
        comparison_rows({"gru4rec": MODEL, "markov": other}, ["recall@20"])


def test_refuses_nothing_and_unmeasured_metrics() -> None:
    with pytest.raises(ConfigError, match="no result"):
        comparison_rows({}, ["recall@20"])
    with pytest.raises(ConfigError, match="recall@7"):
        comparison_rows({"gru4rec": MODEL}, ["recall@7"])
