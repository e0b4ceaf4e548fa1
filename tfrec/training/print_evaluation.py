"""An evaluation on the console: tables, intervals, alarms and leaks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.evaluation.alarms import Alarm
from tfrec.evaluation.comparison import comparison_table
from tfrec.training.measure import Results


def print_evaluation(results: Results, document: dict[str, Any], settings: EvaluationConfig, console: Console) -> None:
    """Prints one table per protocol (a row per model, and the chance level), then what a reader must know.

    Args:
        results: What was measured.
        document: `evaluation_document` of it.
        settings: How it was measured.
        console: Where to print.
    """
    cutoffs = sorted(settings.cutoffs)
    shown = [*(f"recall@{cutoff}" for cutoff in cutoffs), f"mrr@{cutoffs[-1]}", f"ndcg@{cutoffs[-1]}"]
    for found in results.values():
        console.print(comparison_table(found, shown, split=settings.split))
    for section in document["protocols"]:
        for line in _interval_lines(section, document, cutoffs[-1]):
            console.print(line, markup=False)
    print_alarms(document["alarms"], console)
    audit = document["audit"]
    if audit is not None:
        for line in _audit_lines(audit):
            console.print(line, markup=False, style="yellow")


def print_alarms(alarms: Iterable[Alarm], console: Console) -> None:
    """Prints what must be known before any number, a line each."""
    for alarm in alarms:
        console.print(f"ALARM {alarm['message']}", markup=False, style="bold red", soft_wrap=True)


def _interval_lines(section: dict[str, Any], document: dict[str, Any], cutoff: int) -> list[str]:
    """The model's interval, and its paired difference to the best of the baselines."""
    own = document["model"]
    models = section["models"]
    baselines = [name for name, model in models.items() if model["role"] == "baseline"]
    lines = []
    for metric in (f"recall@{cutoff}", f"ndcg@{cutoff}"):
        interval = models[own]["intervals"].get(metric)
        if interval is None:
            continue
        share = 100 * document["bootstrap"]["confidence"]
        line = f"{section['label']}: {own} {metric} {models[own]['metrics'][metric]:.4f}, {share:g} % interval "
        line += f"{interval['low']:.4f} to {interval['high']:.4f}"
        if baselines:
            best = max(baselines, key=lambda name: models[name]["metrics"][metric])
            difference = models[best]["difference"][metric]
            line += (
                f"; {difference['value']:+.4f} against {best} ({difference['low']:+.4f} to {difference['high']:+.4f})"
            )
        lines.append(line)
    return lines


def _audit_lines(audit: dict[str, Any]) -> list[str]:
    leaks = [
        f"{finding['label']}: {finding['count']:,} of {finding['of']:,} ({100 * finding['share']:.1f} %)"
        if finding["of"]
        else f"{finding['label']}: {finding['count']:,}"
        for finding in audit["findings"]
        if finding["level"] == "leak"
    ]
    lines = [f"Leak: {leak}." for leak in leaks]
    if audit["skipped"]:
        lines.append(f"Leak audit incomplete. {audit['skipped']}")
    return [f"Split {audit['rule']}: {audit['note']}.", *lines] if lines else []
