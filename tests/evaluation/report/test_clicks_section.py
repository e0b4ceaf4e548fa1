"""The report of a click model: its section from a document of an evaluation."""

from __future__ import annotations

from typing import Any

from tfrec.evaluation.report.blocks import Charts, Table
from tfrec.evaluation.report.clicks_section import clicks_section
from tfrec.evaluation.report.run_documents import RunDocuments

METRICS = {
    "auc": 0.7, "logloss": 0.2, "ap": 0.1, "wll": 1.5, "score": 0.25, "wll_balanced": 0.6, "score_balanced": 0.4,
    "mean_prediction": 0.02, "click_rate": 0.019, "calibration_error": 0.001, "auc_low": 0.68, "auc_high": 0.72,
}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "kind": "impressions",
    "rows": 1200,
    "metrics": METRICS,
    "baselines": {"prior": {**METRICS, "auc": 0.5}},
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
    assert tables[0].rows[0].cells[0].note == "0.6800 to 0.7200"
    assert tables[1].rows[0].cells[2].text == "\N{EN DASH}"  # an AUC that does not exist
    charts = [chart for block in section.blocks if isinstance(block, Charts) for chart in block.charts]
    titles = ["ROC", "Precision and recall", "Calibration", "Interaction of features", "Relevance by position"]
    assert [chart.title for chart in charts] == titles
    assert "strongest between two: hour and seq" in charts[3].svg
    assert all("<svg" in chart.svg for chart in charts)


def test_absent_parts_are_left_out() -> None:
    bare = {**DOCUMENT, "curves": {"roc": [], "precision_recall": []}, "explanation": {}, "slices": {}}
    section = clicks_section(documents(bare))
    assert section is not None
    charts = [chart for block in section.blocks if isinstance(block, Charts) for chart in block.charts]
    assert [chart.title for chart in charts] == ["Calibration"]
    assert clicks_section(documents({"protocols": []})) is None
