"""What the evaluation of a click model leaves behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console

from tfrec.config.run_config import ImpressionRunConfig
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX
from tfrec.evaluation.click_alarms import find_click_alarms, mean_caution, undefined_caution
from tfrec.evaluation.click_metrics import (
    auc_interval,
    balanced_shift,
    calibration,
    click_metrics,
    click_slices,
    group_auc,
    probabilities,
)
from tfrec.evaluation.explain_clicks import explain_clicks
from tfrec.evaluation.report.numbers import metric_text
from tfrec.evaluation.score_impressions import ScoredImpressions, score_impressions
from tfrec.models.click_prior import ClickPrior
from tfrec.models.impression_model import constant_logit
from tfrec.tables import make_table
from tfrec.training.evaluation_document import finite_numbers
from tfrec.training.fit_impressions import weight_of_clicks
from tfrec.training.print_evaluation import print_alarms
from tfrec.training.run_manifest import dataset_fingerprint, source_commit
from tfrec.version import __version__

_CURVE_POINTS = 200
_MOST_SLICES = 50


def click_evaluation(
    model: Any, dataset: ImpressionDataset, config: ImpressionRunConfig, *, run: str, best_auc: float | None = None
) -> dict[str, Any]:
    """Measures a click model on a split.

    Args:
        model: A click model.
        dataset: The data.
        config: Effective configuration.
        run: The run directory.
        best_auc: Largest AUC that any model can be expected to have, where it is known.

    Returns:
        The content of `evaluation.json`: `metrics`, `baselines`, `calibration`, `curves` (ROC and precision by
        recall), `slices`, `alarms`, `cautions` (sentences), and what it was made with; None for what is no number.
    """
    settings = config.evaluation
    slices, _ = settings.slices_of(dataset.encoder.fields.categories)
    group = [settings.group] if settings.group is not None else []
    columns = list(dict.fromkeys([*slices, *group]))
    scored = score_impressions(model, dataset, settings.split, settings.batch_size, columns=columns)
    click_rate = dataset.num_clicks("train") / dataset.num_rows("train")
    weight = weight_of_clicks(config.objective, click_rate)
    shift = balanced_shift(click_rate, weight)
    metrics: dict[str, Any] = click_metrics(scored.labels, scored.logits, shift=shift)
    if group:
        metrics["gauc"] = group_auc(scored.labels, scored.logits, scored.columns[group[0]])
    if settings.bootstrap:
        interval = auc_interval(
            scored.labels, scored.logits, samples=settings.bootstrap, confidence=settings.confidence
        )
        metrics["auc_low"], metrics["auc_high"] = interval
    curve, error = calibration(scored.labels, probabilities(scored.logits), settings.bins)
    metrics["calibration_error"] = error
    if best_auc is not None:
        metrics["best_auc"] = best_auc
        metrics["share_of_best"] = (metrics["auc"] - 0.5) / (best_auc - 0.5)
    baselines = {}
    if "prior" in settings.baselines and not isinstance(model, ClickPrior):
        constant = np.full(len(scored.labels), constant_logit(click_rate))
        baselines["prior"] = click_metrics(scored.labels, constant, shift=balanced_shift(click_rate))
    measured = {
        "model": config.model.name,
        "split": settings.split,
        "rows": len(scored.labels),
        "clicks": int(np.count_nonzero(scored.labels)),
        "metrics": metrics,
    }
    cautions = [undefined_caution(measured), mean_caution(measured, weight_of_clicks=weight)]
    document: dict[str, Any] = {
        "kind": "impressions",
        "run": run,
        "data": dataset.path,
        **measured,
        "alarms": find_click_alarms(measured, trained=not isinstance(model, ClickPrior)),
        "cautions": [caution for caution in cautions if caution is not None],
        "baselines": baselines,
        "balanced_shift": shift,
        "calibration": curve,
        "curves": _curves(scored),
        "slices": {
            name: click_slices(
                scored.labels, scored.logits, scored.columns[name], _names(dataset, name), most=_MOST_SLICES
            )
            for name in slices
        },
        "explanation": explain_clicks(model, dataset, settings.split, settings.batch_size),
        "dataset": dataset_fingerprint(dataset),
        "commit": source_commit(),
        "version": __version__,
    }
    clean: dict[str, Any] = finite_numbers(document)
    return clean


def print_click_evaluation(document: dict[str, Any], console: Console) -> None:
    """Prints the metrics of a model beside those of the baselines, and what a reader must know of them."""
    models = {document["model"]: document["metrics"], **document["baselines"]}
    columns = ["auc", "logloss", "ap", "wll", "score", "score_balanced"]
    rows = [[name, *(metric_text(column, metrics[column]) for column in columns)] for name, metrics in models.items()]
    title = f"{document['rows']:,} rows of {document['split']}, {document['clicks']:,} clicks"
    console.print(make_table(title, ["model", *columns], rows))
    metrics = document["metrics"]
    if metrics.get("auc_low") is not None:
        console.print(f"AUC between {metrics['auc_low']:.4f} and {metrics['auc_high']:.4f} (bootstrap).")
    if metrics.get("share_of_best") is not None:
        console.print(
            f"No model can be expected to have more than {metrics['best_auc']:.4f}; "
            f"{metrics['share_of_best']:.1%} of that margin over 0.5 is reached."
        )
    if metrics["score"] is not None:
        console.print(
            f"Logits moved by {document['balanced_shift']:.3f} (balanced classes) change the score from "
            f"{metrics['score']:.4f} to {metrics['score_balanced']:.4f}; AUC and AP stay."
        )
    print_alarms(document["alarms"], console)
    for caution in document["cautions"]:
        console.print(f"Caution: {caution}", markup=False, style="yellow", soft_wrap=True)


def _curves(scored: ScoredImpressions) -> dict[str, list[list[float]]]:
    """ROC curve and precision by recall, a few hundred points each; empty where there is only one class.

    Points lie between different predictions only, evenly by rows and evenly by clicks, which are few.
    """
    order = np.argsort(-scored.logits, kind="stable")
    labels = scored.labels[order].astype(np.float64)
    clicks = labels.sum()
    if not 0 < clicks < len(labels):
        return {"roc": [], "precision_recall": []}
    hits, rows = np.cumsum(labels), np.arange(1, len(labels) + 1)
    ends = np.flatnonzero(np.r_[np.diff(scored.logits[order]) < 0, True])
    by_clicks = np.searchsorted(hits, np.linspace(1, clicks, _CURVE_POINTS).round())
    wanted = np.r_[np.linspace(0, len(labels) - 1, _CURVE_POINTS).astype(np.int64), by_clicks]
    places = np.unique(ends[np.searchsorted(ends, wanted)])
    recall, false = hits[places] / clicks, (rows - hits)[places] / (len(labels) - clicks)
    precision = hits[places] / rows[places]
    return {
        "roc": np.stack([false, recall], axis=1).round(6).tolist(),
        "precision_recall": np.stack([recall, precision], axis=1).round(6).tolist(),
    }


def _names(dataset: ImpressionDataset, feature: str) -> dict[int, str]:
    field = dataset.encoder.fields.named(feature)
    vocabulary = dataset.encoder.vocabularies[str(field.vocabulary if field else feature)]
    names = {index + FIRST_INDEX: str(raw) for index, raw in enumerate(vocabulary.ids)}
    return {OOV_INDEX: "unknown or missing", **names}
