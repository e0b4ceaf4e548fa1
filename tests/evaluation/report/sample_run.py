"""A run directory with every part that a report can show, written without training anything."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

CUTOFFS = (1, 5, 10, 20)
EDGES = [1, 2, 3, 6, 11, 21, 51, 101, 201]
FULL = "full, history excluded"
SAMPLED = "sampled, 99 uniform negatives"
MILLISECONDS_PER_DAY = 86_400_000


def metrics(level: float) -> dict[str, float]:
    """Returns metrics that all differ in their four decimals; `level` is hit@10."""
    found: dict[str, float] = {}
    for place, cutoff in enumerate(CUTOFFS):
        hit = level * (0.25, 0.7, 1.0, 1.4)[place]
        found |= {
            f"recall@{cutoff}": hit,
            f"mrr@{cutoff}": 0.45 * hit,
            f"ndcg@{cutoff}": 0.6 * hit,
            f"hit@{cutoff}": hit,
        }
    return {**found, "mrr": 0.5 * level, "avg_rank": 120.0 - 300.0 * level}


def _intervals(values: dict[str, float], width: float = 0.05) -> dict[str, Any]:
    return {name: {"low": value * (1 - width), "high": value * (1 + width)} for name, value in values.items()}


def _lists(level: float) -> dict[str, Any]:
    families = {"coverage": level * 4, "gini": 1 - level * 2, "popularity": 90.5 - level, "overlap": level}
    lists = {f"{family}@{cutoff}": value for family, value in families.items() for cutoff in CUTOFFS}
    even = [place / 50 for place in range(51)]
    return {
        "length": 20,
        "num_lists": 1000,
        **lists,
        "target_popularity": 41.5,
        "catalogue_popularity": 12.25,
        "shares": {
            "buckets": ["head", "mid", "tail"],
            "items": [0.04, 0.16, 0.8],
            "events": [0.34, 0.33, 0.33],
            "targets": [0.4, 0.35, 0.25],
            "recommended": [0.62, 0.28, 0.1],
            "cutoff": 10,
        },
        "curve": {"item_share": even, "recommended": [x**6 for x in even], "training": [x**3 for x in even]},
    }


def _slices(level: float) -> list[dict[str, Any]]:
    def row(name: str, description: str, n: int, factor: float) -> dict[str, Any]:
        values = metrics(level * factor) if n else {}
        wide = _intervals(values, 0.3)
        chance = metrics(0.05) if n else {}
        texts = {"name": name, "description": description, "n": n, "share": n / 1000}
        return {**texts, "metrics": values, "intervals": wide, "chance": chance}

    return [
        {
            "name": "item popularity",
            "description": "thirds of the training events by the popularity of the item",
            "rows": [
                row("head", "8 items with 120 or more training events", 400, 1.4),
                row("mid", "32 items with 40 to 119", 350, 0.9),
                row("tail", "160 items with fewer than 40", 250, 0.3),
            ],
        },
        {
            "name": "user activity",
            "description": "events before the target",
            "rows": [
                row("few", "up to 5", 500, 0.8),
                row("some", "6 to 20", 300, 1.1),
                row("many", "over 20", 200, 1.3),
            ],
        },
        {
            "name": "item age in training",
            "description": "when the item was first seen",
            "rows": [row("warm", "", 940, 1.05), row("cold", "", 60, 0.2), row("unseen", "no training event", 0, 0)],
        },
    ]


def _histogram(level: float) -> dict[str, Any]:
    counts = [round(1000 * level * weight) for weight in (0.25, 0.15, 0.3, 0.3, 0.4, 0.9, 0.9)]
    return {
        "edges": EDGES,
        "counts": [*counts, 990 - sum(counts)],
        "chance": [(high - low) * 5 for low, high in itertools.pairwise(EDGES)],
        "unknown": 10,
    }


def _model(role: str, level: float, best: float) -> dict[str, Any]:
    values, own = metrics(level), metrics(best)
    difference = {
        name: {
            "value": own[name] - value,
            "low": own[name] - value - 0.004,
            "high": own[name] - value + 0.004,
            "p_value": 0.0,
            "share_better": 1.0,
        }
        for name, value in values.items()
    }
    shrunk = {name: value * 0.98 for name, value in values.items()}
    return {
        "role": role,
        "metrics": values,
        "seconds": 1.25,
        "intervals": _intervals(values),
        "difference": {} if role == "model" else difference,
        "ties": {"share_tied": 0.0313, "standard": values, "median": shrunk, "conservative": shrunk},
        "rank_histogram": _histogram(level),
        "slices": _slices(level),
        "lists": _lists(level),
        "similarity": {
            "edges": [place / 25 - 1 for place in range(51)],
            "target": [max(0, 100 - 4 * abs(place - 38)) for place in range(50)],
            "random": [max(0, 100 - 5 * abs(place - 25)) for place in range(50)],
            "target_mean": 0.538,
            "target_std": 0.192,
            "random_mean": 0.021,
            "random_std": 0.164,
            "separation": 0.934,
        }
        if role == "model"
        else None,
        "scores": {"median_spread": 1.284, "median_magnitude": 3.5, "share_constant": 0.0},
    }


def _protocol(name: str, label: str, candidates: int, lift: float) -> dict[str, Any]:
    levels = {"popularity": ("baseline", 0.03), "markov": ("baseline", 0.067), "sasrec": ("model", 0.0873)}
    models = {key: _model(role, level * lift, 0.0873 * lift) for key, (role, level) in levels.items()}
    if name == "sampled":
        for model in models.values():
            model |= {"lists": None, "similarity": None, "slices": []}
    return {
        "name": name,
        "label": label,
        "description": f"Each target is ranked among {candidates} items ({name}).",
        "tie_rule": "conservative",
        "cutoffs": list(CUTOFFS),
        "num_candidates": candidates,
        "num_targets": 1000,
        "num_sequences": 1000,
        "num_unknown_targets": 10,
        "chance": metrics(10 / candidates),
        "models": models,
    }


def evaluation_document() -> dict[str, Any]:
    """Returns the document of an evaluation by two protocols, with an alarm and a leak."""
    audit = {
        "rule": "leave_one_out",
        "note": "leaks across users in time",
        "clean": False,
        "findings": [
            {
                "name": "users_in_several_splits",
                "label": "users with events in several splits",
                "split": "test",
                "count": 1000,
                "of": 1000,
                "share": 1.0,
                "level": "note",
                "explanation": "Part of the rule.",
            },
            {
                "name": "cross_user_future",
                "label": "test targets whose item other users consumed later, in train",
                "split": "test",
                "count": 408,
                "of": 1000,
                "share": 0.408,
                "level": "leak",
                "explanation": "The model has learned from events after the target.",
            },
            {
                "name": "target_before_history",
                "label": "targets before the last event of their history",
                "split": "test",
                "count": 0,
                "of": 1000,
                "share": 0.0,
                "level": "ok",
                "explanation": "",
            },
        ],
        "skipped": None,
    }
    return {
        "format_version": 1,
        "run": "RUN",
        "data": "/data/beauty",
        "split": "test",
        "model": "sasrec",
        "protocols": [_protocol("full", FULL, 200, 1.0), _protocol("sampled", SAMPLED, 100, 3.0)],
        "bootstrap": {"samples": 1000, "confidence": 0.95, "seed": 0, "unit": "user", "units": 1000},
        "alarms": [
            {
                "name": "same_list",
                "model": "sasrec",
                "protocol": FULL,
                "message": "The top-20 lists of two users share 97 % of their items.",
                "value": 0.97,
                "limit": 0.9,
            }
        ],
        "audit": audit,
        "dataset": {"schema_hash": "abc", "shards": shards(), "rule": "leave_one_out", "items": 200},
        "commit": "0123456789abcdef",
        "version": "0.1",
        "created": "2026-01-02T04:00:00+00:00",
    }


def shards() -> dict[str, list[str]]:
    """Returns the checksums that tie run, evaluation and data set together."""
    return {"train": ["11"], "valid": ["22"], "test": ["33"]}


def dataset_manifest() -> dict[str, Any]:
    """Returns the parts of a data set's manifest that the report reads."""

    def split(number: int, events: int, targets: int) -> dict[str, Any]:
        return {
            "sequences": 1000,
            "events": events,
            "targets": targets,
            "unknown_item_events": 3,
            "first_time": (19_000 + number) * MILLISECONDS_PER_DAY,
            "last_time": (19_300 + number) * MILLISECONDS_PER_DAY,
            "min_length": 5,
            "mean_length": 9.5,
            "median_length": 8.0,
            "max_length": 204,
            "shards": [{"sha256": f"{number}{number}"}],
        }

    return {
        "sources": [{"path": "reviews.parquet"}],
        "filters": {"min_seq_len": 5, "min_item_count": 5},
        "split": {"rule": "leave_one_out", "parameters": {}, "note": "leaks across users in time"},
        "counts": {
            "events": 9500,
            "sequences": 1000,
            "users": 1000,
            "items": 200,
            "dropped_events": {"rare_items": 1200, "unknown_items": 0},
        },
        "splits": {"train": split(1, 7500, 6500), "valid": split(2, 8500, 1000), "test": split(3, 9500, 1000)},
        "last_time": 19_303 * MILLISECONDS_PER_DAY,
        "schema_hash": "abc",
    }


def metrics_document() -> dict[str, Any]:
    """Returns what `metrics.json` says of the same evaluation."""
    protocol = _protocol("full", FULL, 200, 1.0)
    own = {**protocol["models"]["sasrec"]["metrics"], "num_targets": 1000, "num_candidates": 200, "seconds": 1.25}
    return {
        "test": {**own, "tie_rule": "conservative", "protocol": FULL},
        "train": {"epochs": 3, "loss": 6.25, "seconds": 725.0, "events_per_second": 14_321.5},
        "baselines": {name: protocol["models"][name]["metrics"] for name in ("popularity", "markov")},
        "chance": protocol["chance"],
        "protocol": FULL,
        "tie_rule": "conservative",
        "alarms": [],
    }


def write_run(folder: Path, *, evaluation: dict[str, Any] | None = None, dataset: bool = True) -> Path:
    """Writes the run directory.

    Args:
        folder: Made here.
        evaluation: Content of `evaluation.json`. Default: `evaluation_document()`.
        dataset: Also write the data set's manifest.
    """
    folder.mkdir(parents=True)
    manifest = {
        "created": "2026-01-02T03:04:05+00:00",
        "command": ["train.py", "--model", "sasrec", "--data", "/data/beauty"],
        "model": "sasrec",
        "seed": 42,
        "config": {"data": {"path": "/data/beauty"}},
        "dataset": {"path": "/data/beauty", "schema_hash": "abc", "shards": shards()},
        "commit": "0123456789abcdef",
        "versions": {"tfrec": "0.1", "python": "3.10"},
        "machine": {"processor": "Some CPU", "cores": 2},
    }
    documents = {
        "manifest.json": manifest,
        "metrics.json": metrics_document(),
        "evaluation.json": evaluation_document() if evaluation is None else evaluation,
    }
    if dataset:
        (folder / "dataset").mkdir()
        documents["dataset/manifest.json"] = dataset_manifest()
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document), encoding="utf-8")
    (folder / "config.yaml").write_text("model:\n  name: sasrec\nseed: 42\n", encoding="utf-8")
    rows = ["epoch,loss,valid_ndcg@10,learning_rate,events,seconds,events_per_second"]
    rows += [f"{e},{9 - e},{0.01 * e * (7 - e)},{0.001 / e},6500,{2.5},{14000 + 100 * e}" for e in range(1, 7)]
    (folder / "history.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder
