"""`report.html` of a search: the outcome first, then the figures, all trials, failures and provenance."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tfrec.evaluation.report.blocks import (
    Block,
    Cell,
    Chart,
    Charts,
    Facts,
    Fold,
    Heading,
    Listing,
    Notice,
    Row,
    Section,
    Table,
)
from tfrec.evaluation.report.numbers import count_text, metric_text, seconds_text
from tfrec.evaluation.report.page import Page, render_page, write_page
from tfrec.tuning.best_config import data_hash
from tfrec.tuning.confirmation import DEFAULT, WINNER, seeds_text, verdict_text
from tfrec.tuning.search_directory import SearchDirectory
from tfrec.tuning.search_settings import SearchSettings
from tfrec.tuning.trial_charts import objective_chart, parallel_charts
from tfrec.tuning.trial_record import TrialRecord
from tfrec.tuning.trial_tables import ranked_trials

_READING = "One line per trial. The best fifth stands out, the best is thickest. A gap: not searched in that trial."


def write_tuning_report(
    folder: SearchDirectory, document: Mapping[str, Any], records: Sequence[TrialRecord], settings: SearchSettings
) -> None:
    """Writes the report of a search that has at least one completed trial.

    Args:
        folder: Where it goes.
        document: `search.json`.
        records: All trials in their order.
        settings: The search.

    Raises:
        ConfigError: The file cannot be written.
    """
    best = document["best"]
    measured = "on the" if settings.clicks else "of the full ranking of the"
    page = Page(
        title=f"Search for {settings.model}",
        kicker="tfrec search report",
        lead=f"{len(records)} trials, {settings.searcher}; objective `{best['objective']}` {measured} "
        "validation split. The test split was not looked at.",
        sections=(
            _outcome(document, records, settings),
            _figures(records, settings),
            _trials(records, settings),
            _provenance(document, folder),
        ),
    )
    write_page(render_page(page), folder.report)


def _outcome(document: Mapping[str, Any], records: Sequence[TrialRecord], settings: SearchSettings) -> Section:
    best = document["best"]
    name = best["objective"]
    blocks: list[Block] = [
        Facts(
            (
                (f"best {name}", metric_text(name, best["score"]), f"trial {best['trial']}, the best of many"),
                ("trials", count_text(len(records)), f"{document['trials']['failed']} failed"),
                ("time", seconds_text(sum(record.seconds for record in records)), "of all trials"),
            ),
            large=True,
        )
    ]
    confirmation = document.get("confirmation")
    if confirmation is None:
        blocks.append(
            Notice("warning", "Not confirmed", "The winner was not retrained with other seeds.", "It may be luck.")
        )
    else:
        fine = confirmation["verdict"] == "gain"
        blocks.append(
            Notice("fine" if fine else "warning", "Confirmed" if fine else "Not confirmed", verdict_text(confirmation))
        )
        rows = tuple(
            Row(
                label,
                (
                    Cell(metric_text(name, confirmation[key]["mean"])),
                    Cell(metric_text(name, confirmation[key]["deviation"])),
                    *(Cell(metric_text(name, score)) for score in confirmation[key]["scores"]),
                ),
                role="model" if key == WINNER else "",
            )
            for key, label in ((WINNER, "winner"), (DEFAULT, "default configuration"))
        )
        columns = ("mean", "deviation", *(f"seed {seed}" for seed in confirmation["seeds"]))
        caption = f"{name} on the validation split, {seeds_text(confirmation)}"
        if settings.space.fixed:
            said = ", ".join(f"`{key}={value}`" for key, value in settings.space.fixed.items())
            caption += f"; what the space fixes ({said}) is part of the winner only"
        blocks.append(Table(caption, "configuration", columns, rows))
    failed = [record for record in records if record.status == "failed"]
    if failed:
        many = "trial failed" if len(failed) == 1 else "trials failed"
        blocks.append(
            Notice("warning", "Failures", f"{len(failed)} {many}.", "The reasons are in the table of trials.")
        )
    kept = "best.yaml"
    if best.get("offered") == DEFAULT:
        kept = "not best.yaml, which has those of the default configuration, since it did better"
    blocks.append(Heading(f"Settings of trial {best['trial']} ({kept})"))
    values = tuple((key, str(value), "") for key, value in best["settings"].items())
    blocks.append(Facts((*values, *((("training.epochs", str(best["epochs"]), ""),) if "epochs" in best else ()))))
    return Section("outcome", "Outcome", tuple(blocks))


def _figures(records: Sequence[TrialRecord], settings: SearchSettings) -> Section:
    charts = [Chart("Objective over trials", objective_chart(records, settings.goal))]
    for number, svg in enumerate(parallel_charts(records, settings.space, settings.goal)):
        charts.append(Chart("Parallel coordinates", svg, _READING if number == 0 else "The other settings."))
    return Section("figures", "What was tried", (Charts(tuple(charts)),))


def _trials(records: Sequence[TrialRecord], settings: SearchSettings) -> Section:
    keys = [parameter.key for parameter in settings.space.parameters]
    name = settings.goal.name
    rows = []
    for place, record in enumerate(ranked_trials(records, settings.goal)):
        score = Cell("failed", record.reason or "", "alarm")
        if record.score is not None:
            score = Cell(metric_text(name, record.score), "", "best" if place == 0 else "")
        epochs = "" if record.epochs is None else str(record.epochs)
        since = "" if record.continued_from is None else f"after trial {record.continued_from}"
        cells = (
            score,
            *(Cell(str(record.values.get(key, ""))) for key in keys),
            Cell(epochs, since),
            Cell(seconds_text(record.seconds)),
        )
        rows.append(Row(str(record.number), cells, role="model" if place == 0 and record.score is not None else ""))
    columns = (name, *keys, "epochs", "time")
    table = Table("All trials, best first; failed ones last with their reasons", "trial", columns, tuple(rows))
    space = tuple((p.key, p.text, f"if {p.condition}" if p.condition else "") for p in settings.space.parameters)
    fixed = tuple((key, str(value), "in every trial") for key, value in settings.space.fixed.items())
    return Section("trials", "Trials", (table, Fold("The space", Facts((*space, *fixed)))))


def _provenance(document: Mapping[str, Any], folder: SearchDirectory) -> Section:
    data = document["dataset"]
    facts = (
        ("made", str(document["created"]).replace("T", " ").replace("+00:00", " UTC"), ""),
        ("resumed", str(len(document["resumed"])) if document.get("resumed") else "", "times"),
        ("data", str(data["path"]), f"sha256:{data_hash(data)}"),
        ("seed of the search", str(document["settings"]["seed"]), ""),
        ("commit", str(document["commit"] or ""), ""),
        ("versions", ", ".join(f"{name} {version}" for name, version in document["versions"].items()), ""),
        ("processor", str(document["machine"].get("processor") or ""), f"{document['machine'].get('cores')} cores"),
        ("command", shlex.join(str(word) for word in document["command"]), ""),
    )
    return Section(
        "provenance",
        "Provenance",
        (
            Facts(tuple(fact for fact in facts if fact[1])),
            Fold("best.yaml", Listing(folder.best.read_text(encoding="utf-8"))),
            Fold("search.json", Listing(json.dumps(document, indent=2, ensure_ascii=False, default=str))),
        ),
    )
