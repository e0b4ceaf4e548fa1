"""Learning curves: whatever `history.csv` says per epoch, grouped by what it is."""

from __future__ import annotations

from collections.abc import Mapping

from tfrec.config.ur4rec_terms import LOSSES, explained
from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Facts, Fold, Paragraph, Row, Section, Table
from tfrec.evaluation.report.charts import Role, Series, line_chart
from tfrec.evaluation.report.numbers import count_text, known, seconds_text
from tfrec.evaluation.report.run_documents import RunDocuments

_EPOCH = "epoch"
_NOT_DRAWN = ("events", "mini_batches", "seconds", "mini_batches_per_second", "stage")
_RATES = {"events_per_second": "events/s"}
_ROWS_SHOWN = 200


def learning_section(run: RunDocuments) -> Section | None:
    """Returns the curves, or None for a model without epochs."""
    history = {name: values for name, values in run.history.items() if any(known(value) for value in values)}
    epochs = history.get(_EPOCH)
    if not epochs or len(history) < 2:
        return None
    loss = [name for name in history if name == "loss" or name.endswith("_loss")]
    validated = [name for name in history if "@" in name]
    stages = _stages(run, history)
    best = _best_epoch(history, validated[0]) if validated and not stages else None  # each stage has its own
    if known(run.training.get("best_epoch")):
        best = float(run.training["best_epoch"])
    charts = []
    if loss:
        own = f"{stages} Each has a loss of its own: compare within a stage." if stages else ""
        charts.append(_chart(history, "Loss", loss, "training loss", own))
    for name in validated:
        chosen = f" Dashed line: best epoch, {best:g}." if best is not None and name == validated[0] else stages
        title = name.replace("_", " ", 1)
        heading = f"{title[:1].upper()}{title[1:]}"
        charts.append(_chart(history, heading, [name], title, chosen, best if name == validated[0] else None))
    for name, unit in _RATES.items():
        if name in history:
            charts.append(_chart(history, "Training speed", [name], unit))
    alike = [name for name in history if "similarity" in name]
    if alike:
        title = "Similarity of states to their targets and to others"
        charts.append(_chart(history, title, alike, "cosine", _SIMILARITIES))
    experts = [name for name in history if name.startswith("expert_") and run.experts]  # a section of their own
    drawn = {_EPOCH, *alike, *loss, *validated, *experts, *_RATES, *_NOT_DRAWN}
    for name in [name for name in history if name not in drawn][:4]:
        charts.append(_chart(history, name.replace("_", " ").capitalize(), [name], name.replace("_", " ")))
    blocks: list[Block] = [Facts(tuple(_facts(run, best)))] if run.training else []
    if charts:
        blocks.append(Charts(tuple(charts)))
    terms = explained(loss, {f"{name}_loss": meaning for name, meaning in LOSSES.items()}) if stages else ""
    if terms:
        blocks.append(Paragraph(f"loss: the weighted sum that a stage minimises; {terms}."))
    blocks.append(Fold("Values of every epoch", _table(run.history)))
    return Section("learning", "Learning curves", tuple(blocks))


_SIMILARITIES = (
    "Means over the training steps of an epoch, with drop-out: of states with their targets, with targets of other "
    "sequences of the step, and the difference. The section on similarities measures the trained model on held-out "
    "targets and random items, so that its numbers are others."
)


def _stages(run: RunDocuments, history: Mapping[str, list[float | None]]) -> str:
    """Says which epochs are of which stage; empty for a model that is not trained in stages."""
    said = []
    for number, name in enumerate(run.training.get("stages") or {}, start=1):
        epochs = [
            epoch for epoch, stage in zip(history[_EPOCH], history.get("stage", []), strict=False) if stage == number
        ]
        if epochs:
            said.append(f"{name} {epochs[0]:g} to {epochs[-1]:g}")
    return f"Epochs of the stages: {', '.join(said)}." if said else ""


def _best_epoch(history: Mapping[str, list[float | None]], metric: str) -> float | None:
    pairs = zip(history[_EPOCH], history[metric], strict=True)
    measured = [(value, epoch) for epoch, value in pairs if epoch is not None and value is not None and known(value)]
    return max(measured, key=lambda pair: pair[0])[1] if measured else None


def _chart(
    history: Mapping[str, list[float | None]],
    title: str,
    names: list[str],
    y_label: str,
    caption: str = "",
    marked: float | None = None,
) -> Chart:
    lines: list[Series] = []
    said = []
    roles: tuple[Role, ...] = ("model", "other", "muted")
    for number, name in enumerate(names):
        pairs = [
            (float(x), float(y)) for x, y in zip(history[_EPOCH], history[name], strict=True) if known(x) and known(y)
        ]
        if not pairs:
            continue
        xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
        lines.append(Series(name if len(names) > 1 else "", xs, ys, roles[min(number, 2)]))
        said.append(f"{name} from {ys[0]:.4g} in epoch {xs[0]:g} to {ys[-1]:.4g} in epoch {xs[-1]:g}")
    alt = f"{title} by epoch: {'; '.join(said)}."
    svg = line_chart(f"learning-{names[0]}", alt, lines, x_label="epoch", y_label=y_label, marked=marked)
    return Chart(title, svg, caption.strip())


def _facts(run: RunDocuments, best: float | None) -> list[tuple[str, str, str]]:
    training = run.training
    facts = []
    if known(training.get("epochs")):
        facts.append(("epochs", count_text(training["epochs"]), "" if best is None else f"best: {best:g}"))
    if known(training.get("loss")):
        facts.append(("final loss", f"{training['loss']:.4f}", ""))
    if known(training.get("seconds")):
        facts.append(("training time", seconds_text(training["seconds"]), ""))
    if known(training.get("events_per_second")):
        facts.append(("training speed", f"{training['events_per_second']:,.0f} events/s", ""))
    return facts


def _table(history: Mapping[str, list[float | None]]) -> Table:
    columns = [name for name in history if name != _EPOCH]
    epochs = history[_EPOCH]
    rows = tuple(
        Row(
            f"{epoch:g}" if epoch is not None else "",
            tuple(Cell("" if (value := history[name][place]) is None else f"{value:.6g}") for name in columns),
        )
        for place, epoch in list(enumerate(epochs))[-_ROWS_SHOWN:]
    )
    caption = "history.csv" if len(epochs) <= _ROWS_SHOWN else f"history.csv, the last {_ROWS_SHOWN} epochs"
    return Table(caption, _EPOCH, tuple(columns), rows)
