"""The report of a click model: its sections from a document of an evaluation and a manifest of data."""

from __future__ import annotations

from typing import Any

from tfrec.evaluation.report.accuracy_section import accuracy_section
from tfrec.evaluation.report.blocks import Charts, Facts, Notice, Paragraph, Table
from tfrec.evaluation.report.clicks_section import clicks_section
from tfrec.evaluation.report.overview_section import overview_section
from tfrec.evaluation.report.provenance_section import data_section
from tfrec.evaluation.report.run_documents import RunDocuments

METRICS = {
    "auc": 0.7, "logloss": 0.2, "ap": 0.1, "wll": 1.5, "score": 0.25, "wll_balanced": 0.6, "score_balanced": 0.4,
    "mean_prediction": 0.02, "click_rate": 0.019, "calibration_error": 0.001, "auc_low": 0.68, "auc_high": 0.72,
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "kind": "impressions",
    "split": "valid",
    "rows": 1200,
    "clicks": 23,
    "alarms": [],
    "cautions": [],
    "metrics": METRICS,
    "baselines": {"prior": {**METRICS, "auc": 0.5, "logloss": 0.25}},
    "balanced_shift": 3.9,
    "calibration": [
        {"predicted": 0.01, "observed": 0.02, "rows": 600},
        {"predicted": 0.03, "observed": 0.02, "rows": 600},
    ],
    "curves": {"roc": [[0.1, 0.3], [1.0, 1.0]], "precision_recall": [[0.3, 0.05], [1.0, 0.019]]},
    "slices": {
        "hour": [{"value": "07", "rows": 5, "clicks": 0, "auc": None, "logloss": 0.3, "mean_prediction": 0.1}],
    },
    "explanation": {
        "interaction": {"fields": ["seq", "hour", "age"], "matrix": [[1, 0.2, 0.1], [0.9, 1, 0.0], [0.1, 0.1, 1]]},
        "by_distance": {"kind": "Weight of the pooling.", "weights": [0.5, 0.3, 0.2]},
    },
}  # fmt: skip


def documents(evaluation: dict[str, Any]) -> RunDocuments:
    return RunDocuments("RUN", "feseq", evaluation, {}, {}, "", {}, {})


def test_everything_that_was_measured_is_shown() -> None:
    section = clicks_section(documents(DOCUMENT))
    assert section is not None
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert [row.name for row in tables[0].rows] == ["feseq", "prior"]
    assert tables[0].rows[0].cells[0].note == "0.6800\N{EN DASH}0.7200"
    unsure = {**DOCUMENT, "metrics": {**METRICS, "auc_low": float("nan"), "auc_high": float("nan")}}
    bare = clicks_section(documents(unsure))
    assert bare is not None
    assert isinstance(bare.blocks[0], Table)
    assert bare.blocks[0].rows[0].cells[0].note == ""
    assert tables[1].rows[0].cells[2].text == "\N{EN DASH}"  # an AUC that does not exist
    charts = [chart for block in section.blocks if isinstance(block, Charts) for chart in block.charts]
    titles = ["ROC", "Precision and recall", "Calibration", "Interaction of features", "Relevance by position"]
    assert [chart.title for chart in charts] == titles
    assert "strongest between two: hour and seq" in charts[3].svg
    assert charts[3].caption == "Area: how much the feature of the row makes of that of the column."
    told = {"explanation": {"interaction": {**DOCUMENT["explanation"]["interaction"], "kind": "attention."}}}
    again = clicks_section(documents({**DOCUMENT, **told}))
    assert again is not None
    assert "Area: attention." in [
        c.caption for block in again.blocks if isinstance(block, Charts) for c in block.charts
    ]
    assert all("<svg" in chart.svg for chart in charts)


def test_absent_parts_are_left_out() -> None:
    bare = {**DOCUMENT, "curves": {"roc": [], "precision_recall": []}, "explanation": {}, "slices": {}}
    section = clicks_section(documents(bare))
    assert section is not None
    charts = [chart for block in section.blocks if isinstance(block, Charts) for chart in block.charts]
    assert [chart.title for chart in charts] == ["Calibration"]
    assert clicks_section(documents({"protocols": []})) is None


def overview(**changes: Any) -> tuple[list[Notice], dict[str, tuple[str, str]], str]:
    """Notices, figures and verdict of the first section."""
    blocks = overview_section(documents({**DOCUMENT, **changes})).blocks
    (facts,) = [block for block in blocks if isinstance(block, Facts)]
    (verdict,) = [block.text for block in blocks if isinstance(block, Paragraph)]
    figures = {name: (value, note) for name, value, note in facts.entries}
    return [block for block in blocks if isinstance(block, Notice)], figures, verdict


def test_the_figures_that_matter_come_first() -> None:
    notices, figures, verdict = overview()
    assert figures["AUC"] == ("0.7000", "0.6800\N{EN DASH}0.7200, chance 0.5")
    assert figures["log-loss"] == ("0.2000", "prior 0.2500")
    assert figures["clicks measured"] == ("23", "in 1,200 rows")
    assert [notice.level for notice in notices] == ["fine"]  # and nothing about leaks between sequences
    assert "1,200 rows of `valid`" in verdict
    assert "interval of AUC excludes 0.5" in verdict
    assert "20.0\N{NO-BREAK SPACE}% below that of the prior" in verdict
    assert accuracy_section(documents(DOCUMENT)) is None  # no ranking of items


def test_a_worthless_measurement_is_said_to_be_one() -> None:
    alarm = {"name": "few_clicks", "model": "feseq", "message": "Few.", "value": 2, "limit": 50}
    metrics = {**METRICS, "auc": 0.51, "auc_low": 0.4, "auc_high": 0.6, "logloss": 0.3}
    notices, _, verdict = overview(alarms=[alarm], cautions=["Off."], metrics=metrics)
    assert [(notice.level, notice.text) for notice in notices] == [("alarm", "Few."), ("warning", "Off.")]
    assert "too few clicks" in notices[0].title
    assert "includes 0.5" in verdict
    assert "20.0\N{NO-BREAK SPACE}% above that of the prior" in verdict


def test_the_data_are_rows_and_clicks() -> None:
    manifest = {
        "kind": "impressions",
        "sources": [{"path": "log.parquet"}],
        "rows_read": 1500,
        "options": {"split": "day", "day_column": "weekday", "valid_days": 1, "test_days": 2, "valid_fraction": 0.1},
        "splits": {"train": {"rows": 1200, "clicks": 24}, "test": {"rows": 300, "clicks": 0}},
    }
    section = data_section(RunDocuments("RUN", "feseq", DOCUMENT, {}, {}, "", {}, manifest))
    assert section is not None
    facts, table = section.blocks
    assert isinstance(facts, Facts)
    assert isinstance(table, Table)
    assert [entry[:2] for entry in facts.entries] == [("rows read", "1,500"), ("made from", "log.parquet")]
    assert table.caption == "Split rule: day (the last days, day column weekday, valid days 1, test days 2)"
    assert [(row.name, *(cell.text for cell in row.cells)) for row in table.rows] == [
        ("train", "1,200", "24", "0.0200"),
        ("test", "300", "0", "0.0000"),
    ]
