"""What the run was made of: data, configuration, code, machine; enough to repeat it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Facts, Fold, Listing, Row, Section, Table
from tfrec.evaluation.report.impressions_data import impressions_data
from tfrec.evaluation.report.numbers import count_text, known, time_text
from tfrec.evaluation.report.run_documents import RunDocuments

_SPLITS = ("train", "valid", "test")


def data_section(run: RunDocuments) -> Section | None:
    """Returns sizes and times of the data set, or None when the data set is not known."""
    dataset = run.dataset
    blocks: list[Block] = []
    if dataset:
        if dataset.get("kind") == "impressions":
            facts, splits = impressions_data(dataset)
        else:
            facts, splits = _facts(dataset), _splits(dataset, dates=run.has_dates)
        sources = ", ".join(str(source.get("path")) for source in dataset.get("sources") or [])
        if sources:
            facts.append(("made from", sources, ""))
        blocks += [Facts(tuple(facts)), splits]
    else:
        known_of = run.evaluation.get("dataset") or {}
        sizes = {key: known_of.get(key) or {} for key in ("sequences", "events")}
        names = [name for name in _SPLITS if any(name in size for size in sizes.values())]
        if names:
            rows = tuple(
                Row(name, tuple(Cell(count_text(size.get(name))) for size in sizes.values())) for name in names
            )
            blocks.append(Table(f"Splits of {run.evaluation.get('data', 'the data set')}", "split", tuple(sizes), rows))
    return Section("data", "Data", tuple(blocks)) if blocks else None


def provenance_section(run: RunDocuments) -> Section:
    """Returns code, machine and seed, and the folded configuration and manifest."""
    manifest = run.manifest
    machine = manifest.get("machine") or {}
    versions = manifest.get("versions") or {}
    facts = [
        ("trained", _moment(manifest.get("created")), ""),
        ("evaluated", _moment(run.evaluation.get("created")), ""),
        ("seed", str(manifest["seed"]) if "seed" in manifest else "", ""),
        ("processor", str(machine.get("processor") or ""), _cores(machine)),
        ("commit of the training", str(manifest.get("commit") or ""), ""),
        ("commit of the evaluation", _other(run.evaluation.get("commit"), manifest.get("commit")), ""),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()), ""),
        ("command", shlex.join(str(word) for word in manifest.get("command") or []), ""),
    ]
    blocks: list[Block] = []
    present = tuple(fact for fact in facts if fact[1])
    if present:
        blocks.append(Facts(present))
    blocks.append(Fold("Configuration (config.yaml)", Listing(run.config)))
    if manifest:
        blocks.append(Fold("Manifest of the run (manifest.json)", Listing(_json(manifest))))
    if run.dataset:
        blocks.append(Fold("Manifest of the data set", Listing(_json(run.dataset))))
    return Section("provenance", "Configuration and provenance", tuple(blocks))


def _facts(dataset: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    counts = dataset.get("counts") or {}
    facts = [
        (name, count_text(counts[name]), "") for name in ("events", "sequences", "users", "items") if name in counts
    ]
    dropped = counts.get("dropped_events") or {}
    said = ", ".join(f"{name.replace('_', ' ')} {count_text(value)}" for name, value in dropped.items() if value)
    if said:
        facts.append(("events dropped", count_text(sum(dropped.values())), said))
    filters = dataset.get("filters") or {}
    if filters:
        facts.append(("shortest sequence", count_text(filters.get("min_seq_len")), "events, by `--min-seq-len`"))
        facts.append(("rarest item", count_text(filters.get("min_item_count")), "events, by `--min-item-count`"))
    return facts


def _splits(dataset: Mapping[str, Any], *, dates: bool) -> Table:
    splits = dataset.get("splits") or {}
    rows = []
    for name in [name for name in _SPLITS if name in splits]:
        split = splits[name]
        cells = [Cell(count_text(split.get(key))) for key in ("sequences", "events", "targets", "unknown_item_events")]
        cells.append(
            Cell(count_text(split.get("median_length")), f"{split.get('min_length')} to {split.get('max_length')}")
        )
        cells += [Cell((time_text if dates else count_text)(split.get(key))) for key in ("first_time", "last_time")]
        rows.append(Row(name, tuple(cells)))
    rule = dataset.get("split") or {}
    parameters = ", ".join(f"{key} {value}" for key, value in (rule.get("parameters") or {}).items())
    caption = f"Split rule: {rule.get('rule', 'unknown')}" + (f" ({parameters})" if parameters else "")
    times = ("first event (UTC)", "last event (UTC)") if dates else ("first position", "last position")
    columns = ("sequences", "events", "targets", "unknown items", "median length", *times)
    if not dates:
        caption += "; the data have no dates, their times are positions"
    return Table(caption, "split", columns, tuple(rows))


def _moment(created: object) -> str:
    return str(created or "").replace("T", " ").replace("+00:00", " UTC")


def _other(commit: object, first: object) -> str:
    return str(commit) if commit and commit != first else ""


def _cores(machine: Mapping[str, Any]) -> str:
    return f"{machine['cores']} cores" if known(machine.get("cores")) else ""


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
