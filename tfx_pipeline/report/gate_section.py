"""The decision: values by slice beside the baseline's, bounds, reasons."""

from __future__ import annotations

from collections.abc import Mapping

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Heading, Notice, Row, Section, Table
from tfrec.evaluation.report.charts import Estimate, interval_chart
from tfrec.evaluation.report.numbers import count_text
from tfx_pipeline.blessing import BASELINE, CANDIDATE, OVERALL, Decision
from tfx_pipeline.evaluator_bounds import EvaluatorBounds
from tfx_pipeline.run_facts import RunFacts


def decision_blocks(facts: RunFacts) -> tuple[Block, ...]:
    """Returns the decision in a sentence, and one notice per reason."""
    if facts.failure is not None:
        return (Notice("alarm", "failed", str(facts.failure)),)
    if facts.blocked:
        reasons = tuple(Notice("alarm", "bound", reason) for reason in facts.reasons)
        return (Notice("alarm", "blocked", "The model was not pushed and nothing was published."), *reasons)
    if facts.push.get("pushed"):
        what = f"Blessed and pushed as version {facts.push['version']}"
        return (Notice("fine", "blessed", what, str(facts.push["path"])),)
    return (Notice("warning", "open", "The run did not come to a decision."),)


def gate_section(facts: RunFacts) -> Section | None:
    """Returns the values of all slices with the bounds, or None before the Evaluator."""
    decision = facts.decision
    if decision is None:
        return None
    gate = facts.settings.gate
    metrics = [name for name in gate.metrics if name in decision.slices.get(OVERALL, {}).get(CANDIDATE, {})]
    blocks: list[Block] = [*_replay_notice(facts)]
    if metrics:
        blocks.append(Charts(tuple(_chart(decision, metric, number) for number, metric in enumerate(metrics))))
    small, count = decision.small_slices(gate), gate.counted
    caption = f"Split {gate.split}; in brackets the difference to the baseline"
    blocks.append(_table(decision, metrics, count, caption, dict.fromkeys(small, "too small: has no bounds")))
    blocks.append(Heading("Bounds"))
    blocks.append(_bounds(metrics, gate))
    others = [name for name in decision.slices.get(OVERALL, {}).get(CANDIDATE, {}) if name not in (count, *metrics)]
    if others:
        blocks += [Heading("Other metrics"), _table(decision, others, count, "Without bounds")]
    return Section("evaluation", "Evaluation", tuple(blocks))


def _replay_notice(facts: RunFacts) -> list[Block]:
    replay = facts.replay
    if not replay:
        return []
    if replay.get("blessed"):
        text = f"{replay['requests']} golden requests answered as by the trained model, by TensorFlow alone."
        return [Notice("fine", "replayed", text)]
    return [Notice("alarm", "replay", str(replay.get("reason")))]


def _chart(decision: Decision, metric: str, number: int) -> Chart:
    estimates = []
    for name, models in decision.slices.items():
        for model, role in ((CANDIDATE, "model"), (BASELINE, "other")):
            if metric in models.get(model, {}) and name != OVERALL:
                label = name if model == CANDIDATE else "baseline"
                estimates.append(Estimate(label, models[model][metric], None, role))  # type: ignore[arg-type]
    overall = decision.slices[OVERALL][CANDIDATE][metric]
    said = "; ".join(f"{row.label}: {row.value:.4f}" for row in estimates)
    label = f"{metric} (dashed: all)"
    svg = interval_chart(f"gate-{number}", f"{metric} by slice: {said}.", estimates, x_label=label, reference=overall)
    return Chart(metric, svg)


def _table(
    decision: Decision, metrics: list[str], count: str, caption: str, notes: Mapping[str, str] | None = None
) -> Table:
    notes = notes or {}
    rows = []
    for name, models in decision.slices.items():
        own, old = models.get(CANDIDATE, {}), models.get(BASELINE, {})
        cells = [Cell(count_text(int(own.get(count, 0))))]
        for metric in metrics:
            if metric not in own:
                cells.append(Cell("undefined"))
                continue
            note = f"({own[metric] - old[metric]:+.4f})" if metric in old else ""
            cells.append(Cell(f"{own[metric]:.4f}", note))
        rows.append(Row(name, tuple(cells), role="model" if name == OVERALL else "", note=notes.get(name, "")))
    return Table(caption, "slice", (count, *metrics), tuple(rows))


def _bounds(metrics: list[str], gate: EvaluatorBounds) -> Table:
    rows = tuple(
        Row(what, tuple(Cell(f"{values[metric]:g}" if metric in values else "") for metric in metrics))
        for what, values in gate.bounds.items()
        if values
    )
    caption = f"Losses are against the model pushed last, in absolute terms; {gate.small} are shown and do not block"
    return Table(caption, "bound", tuple(metrics), rows)
