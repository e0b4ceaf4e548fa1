"""The leak audit: what in the data or in its split would make the numbers too good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Notice, Row, Section, Table
from tfrec.evaluation.report.charts import Span, span_chart
from tfrec.evaluation.report.numbers import count_text, known, share_text, time_text
from tfrec.evaluation.report.run_documents import RunDocuments

_LEVELS = ("leak", "note", "ok")
_SPLITS = ("train", "valid", "test")


def audit_notices(run: RunDocuments) -> list[Notice]:
    """Returns what a reader must know before believing a number."""
    audit: Mapping[str, Any] = run.evaluation.get("audit") or {}
    rule = audit.get("rule") or (run.evaluation.get("dataset") or {}).get("rule") or _split(run).get("rule")
    note = str(audit.get("note") or run.evaluation.get("split_note") or _split(run).get("note") or "")
    notices = []
    leaks = _leaks(audit)
    if leaks:
        title = f"{len(leaks)} {'kind' if len(leaks) == 1 else 'kinds'} of leak between the splits"
        said = "; ".join(f"{finding.get('label', finding.get('name'))} ({_amount(finding)})" for finding in leaks)
        notices.append(Notice("alarm", "Leak", title, f"{said}. See the leak audit below."))
    elif audit.get("skipped"):
        notices.append(Notice("warning", "Caution", "The leak audit was skipped", str(audit["skipped"])))
    elif audit:
        notices.append(Notice("fine", "Leak audit", "no leak between the splits was found"))
    else:
        remedy = "Evaluate with `evaluation.details=true` to see what leaks between the splits."
        notices.append(Notice("warning", "Caution", "No leak audit", remedy))
    if rule and note:
        notices.append(Notice("warning" if "leak" in note else "fine", "Split", f"{rule}: {note}"))
    return notices


def audit_section(run: RunDocuments) -> Section | None:
    """Returns the findings and the times of the splits, or None when neither is known."""
    audit: Mapping[str, Any] = run.evaluation.get("audit") or {}
    findings = audit.get("findings") or []
    blocks: list[Block] = []
    spans = _spans(run)
    if spans:
        blocks.append(Charts((_timeline(spans),)))
    if findings:
        blocks.append(_table(findings))
    return Section("audit", "Leak audit", tuple(blocks)) if blocks else None


def _split(run: RunDocuments) -> Mapping[str, Any]:
    return run.dataset.get("split") or {}


def _leaks(audit: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [finding for finding in audit.get("findings") or [] if finding.get("level") == "leak"]


def _amount(finding: Mapping[str, Any]) -> str:
    return share_text(finding["share"]) if known(finding.get("share")) else count_text(finding.get("count"))


def _table(findings: list[Mapping[str, Any]]) -> Table:
    order = {level: place for place, level in enumerate(_LEVELS)}
    rows = []
    for finding in sorted(findings, key=lambda finding: order.get(str(finding.get("level")), 1)):
        level = str(finding.get("level"))
        cells = (
            Cell(level, tone="alarm" if level == "leak" else ""),
            Cell(str(finding.get("split") or "")),
            Cell(count_text(finding.get("count"))),
            Cell(count_text(finding.get("of"))),
            Cell(share_text(finding.get("share"))),
        )
        name = str(finding.get("label") or finding.get("name"))
        rows.append(Row(name, cells, note=str(finding.get("explanation") or "")))
    caption = "What connects the splits. `leak`: makes numbers too good; `note`: part of the split rule, worth knowing."
    return Table(caption, "finding", ("verdict", "split", "count", "of", "share"), tuple(rows), sentences=True)


def _spans(run: RunDocuments) -> list[Span]:
    splits = run.dataset.get("splits") or {} if run.has_dates else {}
    spans = []
    for name in _SPLITS:
        first, last = (splits.get(name, {}).get(key) for key in ("first_time", "last_time"))
        if known(first) and known(last):
            spans.append(Span(name, float(first), float(last)))
    return spans


def _timeline(spans: list[Span]) -> Chart:
    said = "; ".join(f"{span.label} from {time_text(span.start)} to {time_text(span.end)}" for span in spans)
    svg = span_chart("audit-times", f"Time ranges of the splits: {said}.", spans, x_label="time of the events (UTC)")
    caption = "Where a later split reaches below an earlier one, models learn from events after the targets."
    return Chart("Times of the splits", svg, caption)
