"""What an evaluation leaves behind: one JSON document, and its short form in `metrics.json`."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.data.audit_findings import audit_document
from tfrec.data.dataset import InteractionDataset
from tfrec.data.dataset_audit import audit_dataset
from tfrec.evaluation.alarms import find_alarms
from tfrec.evaluation.popularity_bias import list_metrics
from tfrec.evaluation.protocol_section import SectionSettings, protocol_section
from tfrec.models.counting_recommender import CountingRecommender
from tfrec.registry import model_class
from tfrec.training.measure import Results
from tfrec.training.run_manifest import dataset_fingerprint, source_commit
from tfrec.version import __version__

FORMAT_VERSION = 1
_BY_PRODUCT = " Next items are a by-product of this model; what it is for is vectors of users."
OPTIMUM = "optimum"
"""Name of the row that no model can beat, known for synthetic data."""


def evaluation_document(
    results: Results, dataset: InteractionDataset, settings: EvaluationConfig, *, model: str, run: str
) -> dict[str, Any]:
    """Analyses what was measured.

    Args:
        results: Results of `measure`, with their targets.
        dataset: The data.
        settings: How it was measured.
        model: Name of the model of the run; the others are baselines, or the optimum.
        run: The run directory.

    Returns:
        The content of `evaluation.json`: the short form of the primary protocol (`metrics`, `baselines`, `chance`,
        `protocol`, `tie_rule`, and `sampled` when both protocols were measured), `protocols` in full, `bootstrap`,
        `alarms`, `audit`, `dataset`, and what it was made with.
    """
    names = list(next(iter(results.values())))
    roles = {name: "model" if name == model else OPTIMUM if name == OPTIMUM else "baseline" for name in names}
    counts = dataset.item_vocabulary.counts if settings.details else None
    analysis = SectionSettings(settings.cutoffs, settings.bootstrap, counts, settings.cold_events)
    sections = {name: protocol_section(name, found, roles, analysis) for name, found in results.items()}
    trained = not issubclass(model_class(model), CountingRecommender)
    by_product = model_class(model).training_scheme == "user_pairs"
    alarms = [
        {**alarm, "message": alarm["message"] + _BY_PRODUCT} if by_product else alarm
        for section in sections.values()
        for alarm in find_alarms(model, section["models"][model], section, trained=trained)
    ]
    short = {name: _short_form(found, model, counts) for name, found in results.items()}
    primary, *others = short.values()
    document = {
        "format_version": FORMAT_VERSION,
        "run": run,
        "data": str(dataset.path),
        "split": settings.split,
        "model": model,
        **primary,
        **({"sampled": others[0]} if others else {}),
        "protocols": list(sections.values()),
        "bootstrap": _bootstrap(results, dataset, settings, model),
        "alarms": alarms,
        "audit": _audit(dataset, settings),
        "split_note": dataset.manifest.split.note,
        "dataset": {
            **dataset_fingerprint(dataset),
            "rule": dataset.manifest.split.rule,
            "items": dataset.item_vocabulary.size - 2,
            "sequences": {split: dataset.num_sequences(split) for split in dataset.splits},
            "events": {split: dataset.num_events(split) for split in dataset.splits},
        },
        "commit": source_commit(),
        "version": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
    clean: dict[str, Any] = finite_numbers(document)
    return clean


def metrics_document(document: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of `metrics.json`.

    Args:
        document: `evaluation_document`.
        training: What the training says of itself.
    """
    kept = ("baselines", "chance", "protocol", "tie_rule", "sampled", "alarms", "split_note")
    users = document.get("users")
    own = {} if users is None else users["models"][document["model"]]["metrics"]
    return {
        document["split"]: {**document["metrics"], **own},
        "train": training,
        **{key: document[key] for key in kept if key in document},
    }


def finite_numbers(value: Any) -> Any:
    """Returns a JSON value with None for NaN and infinity, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: finite_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite_numbers(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _short_form(found: dict[str, Any], model: str, counts: Any) -> dict[str, Any]:
    own = found[model]
    lists = list_metrics(own.lists, own.num_candidates, counts) if own.lists is not None else {}
    return {
        "metrics": {**own.metrics, **lists, **own.as_dict()},
        "baselines": {name: result.metrics for name, result in found.items() if name != model},
        "chance": own.chance,
        "protocol": own.protocol,
        "tie_rule": own.tie_rule,
    }


def _bootstrap(
    results: Results, dataset: InteractionDataset, settings: EvaluationConfig, model: str
) -> dict[str, Any] | None:
    if not settings.bootstrap.samples:
        return None
    targets = next(iter(results.values()))[model].targets
    unit = "user" if dataset.manifest.columns.user else "sequence"
    return {
        **settings.bootstrap.model_dump(),
        "unit": unit,
        "units": 0 if targets is None else np.unique(targets.owner).size,
    }


def _audit(dataset: InteractionDataset, settings: EvaluationConfig) -> dict[str, Any] | None:
    if not settings.details:
        return None
    record = audit_dataset(dataset, settings.split)
    skipped = None
    if record is None:
        skipped = f"There are {dataset.num_events('train'):,} training events; convert the data with --audit."
    return audit_document(record, dataset.manifest, settings.split, skipped)
