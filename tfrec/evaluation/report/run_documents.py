"""Everything that a run directory says about its run, as far as it is there."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfrec.errors import DataError
from tfrec.evaluation.report.numbers import known

_FIRST_YEAR = 365 * 86_400_000
_UNCUT = ("mrr", "avg_rank")
_NOT_A_RUN = "Pass the `--output` of a training run."


@dataclass(frozen=True)
class RunDocuments:
    """What a report is made from.

    Args:
        name: Name of the run directory.
        model: Name of the model.
        evaluation: Document of `tfrec.evaluate`; for a run without one, what `metrics.json` holds of it.
        training: Epochs, loss, seconds and rates of the training.
        history: Columns of `history.csv`; one value per epoch, None where the cell is no number.
        config: Text of `config.yaml`.
        manifest: `manifest.json` of the run.
        dataset: `manifest.json` of the data set, when it is still there and still the same.
        experts: Usage of experts by epoch, of a model that has some.
        semantic_ids: Health of the codes of semantic ids, of a model that reads some.
    """

    name: str
    model: str
    evaluation: Mapping[str, Any]
    training: Mapping[str, Any]
    history: Mapping[str, list[float | None]]
    config: str
    manifest: Mapping[str, Any]
    dataset: Mapping[str, Any]
    experts: Mapping[str, Any] = field(default_factory=dict)
    semantic_ids: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_dates(self) -> bool:
        """Whether the times of the data set are dates; data without dates count the events of a sequence instead."""
        latest = self.dataset.get("last_time")
        return known(latest) and latest > _FIRST_YEAR

    @property
    def is_clicks(self) -> bool:
        """Whether the run is of a click model, which orders rows, not items."""
        return self.evaluation.get("kind") == "impressions"

    @property
    def protocols(self) -> list[Mapping[str, Any]]:
        """The ways in which the model was measured; the first one is the primary one."""
        return list(self.evaluation.get("protocols") or [])


def read_run(run: Path, evaluation: Mapping[str, Any] | None = None) -> RunDocuments:
    """Reads the files of a run directory.

    Args:
        run: The directory.
        evaluation: Document of `tfrec.evaluate` to report instead of the one in the directory.

    Raises:
        DataError: It is no run directory, or a file of it is damaged.
    """
    if not (run / "config.yaml").is_file():
        raise DataError("Not a run directory: there is no `config.yaml`.", file=run, remedy=_NOT_A_RUN)
    manifest = _read_json(run / "manifest.json")
    metrics = _read_json(run / "metrics.json")
    if evaluation is None:
        evaluation = _read_json(run / "evaluation.json")
    model = str(evaluation.get("model") or manifest.get("model") or "model")
    if not evaluation.get("protocols") and evaluation.get("kind") != "impressions":
        evaluation = {**_from_metrics(evaluation or metrics, model), **evaluation}
    return RunDocuments(
        name=run.resolve().name,
        model=model,
        evaluation=evaluation,
        training=metrics.get("train") or {},
        history=_read_history(run / "history.csv"),
        config=_read_text(run / "config.yaml"),
        manifest=manifest,
        dataset=_dataset(run, evaluation, manifest),
        experts=_read_json(run / "expert_usage.json"),
        semantic_ids=_read_json(run / "semantic_ids.json"),
    )


def _from_metrics(metrics: Mapping[str, Any], model: str) -> dict[str, Any]:
    split = next((name for name in ("test", "valid") if name in metrics), str(metrics.get("split") or "test"))
    own = metrics.get(split) or metrics.get("metrics")
    if not isinstance(own, dict):
        return {}
    baselines = metrics.get("baselines") or {}
    roles = {name: "optimum" if name == "optimum" else "baseline" for name in baselines} | {model: "model"}
    measured = {**{name: values for name, values in baselines.items() if name != "optimum"}, model: own}
    measured |= {name: values for name, values in baselines.items() if name == "optimum"}
    measured[model] = {key: value for key, value in own.items() if "@" in key or key in _UNCUT}
    protocol = {
        "label": metrics.get("protocol", ""),
        "tie_rule": metrics.get("tie_rule", ""),
        **{
            key: own[key]
            for key in ("num_candidates", "num_targets", "num_sequences", "num_unknown_targets")
            if key in own
        },
        "chance": metrics.get("chance") or {},
        "models": {name: {"role": roles[name], "metrics": values} for name, values in measured.items()},
    }
    kept = {key: metrics[key] for key in ("alarms", "split_note") if key in metrics}
    return {"model": model, "split": split, "protocols": [protocol], **kept}


def _dataset(run: Path, evaluation: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    fingerprint = evaluation.get("dataset") or manifest.get("dataset") or {}
    places = [str(place) for place in (evaluation.get("data"), manifest.get("dataset", {}).get("path")) if place]
    for folder in (run / "dataset", *(Path(place) for place in places if "://" not in place)):
        found = _read_json(folder / "manifest.json")
        shards = {
            name: [shard["sha256"] for shard in split["shards"]] for name, split in found.get("splits", {}).items()
        }
        if found and found.get("schema_hash") == fingerprint.get("schema_hash") and shards == fingerprint.get("shards"):
            return found
    return {}


def _read_history(path: Path) -> dict[str, list[float | None]]:
    text = _read_text(path)
    rows = list(csv.DictReader(text.splitlines()))
    return {column: [_number(row[column]) for row in rows] for column in (rows[0] if rows else ()) if column}


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _read_json(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    if not text:
        return {}
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DataError(f"The file is not JSON: {error}", file=path, remedy="Evaluate or train again.") from error
    if not isinstance(document, dict):
        raise DataError("The file does not hold a JSON object.", file=path, remedy="Evaluate or train again.")
    return document


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise DataError(f"The file cannot be read: {error}", file=path, remedy=_NOT_A_RUN) from error
