"""From a run directory to a published version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec.config.export_config import load_export_config
from tfrec.data.candidate_list import read_candidates
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError, DataError
from tfrec.public_url import public_url
from tfrec.serving.clicks.export_click_run import export_click_run
from tfrec.serving.export_document import CLICKS, SCHEMA_ASSET, export_facts, read_export
from tfrec.serving.export_options import ExportOptions
from tfrec.serving.golden_requests import GoldenRequests, sample_histories
from tfrec.serving.index_answers import take_answers
from tfrec.serving.model_card import model_card
from tfrec.serving.offline_answers import OfflineAnswers
from tfrec.serving.publish_version import NewVersion, dry_report, publish_version, step
from tfrec.serving.served_model import ServedModel
from tfrec.serving.version_directory import VersionDirectory
from tfrec.training.model_store import LoadedRun, is_click_run, load_run

__all__ = ["ExportOptions", "export_run"]

_CANDIDATES = "assets.extra/candidates.json"
_LOW_RECALL = 0.9


def export_run(output: Path, options: ExportOptions, console: Console) -> dict[str, Any]:
    """Exports the model of a run, recommender or click model, as a new version.

    Args:
        output: The directory of all versions.
        options: What and how.
        console: For progress.

    Returns:
        The content of `export.json`, `path`, and `removed`: versions that were pruned. When dry, only the model, the
        version and its path.

    Raises:
        ConfigError: An option does not go with the model, the run or another option.
        DataError: The run, the data or an earlier version is missing, damaged or unfit.
        ExportError: Verification failed; nothing was published.
    """
    directory = VersionDirectory(output)
    if options.keep is not None and options.keep < 1:
        raise ConfigError(f"`--keep` is {options.keep}.", remedy="Keep at least 1 version.")
    if options.run is not None and is_click_run(options.run):
        return export_click_run(directory, options.run, options, console)
    if options.like is not None:
        raise ConfigError("`--like` is for click models; the ids of a recommender are those of its data.")
    earlier = _earlier_export(directory) if options.items_only else None
    run = options.run if options.run is not None else Path(earlier["run"]) if earlier is not None else None
    if run is None:
        raise ConfigError("No run is given.", remedy="Pass `--run RUN`.")
    config = load_export_config(None if earlier is None else earlier["config"], options.assignments)
    if config.index.kind == "scann":
        raise ConfigError(
            "ScaNN is an operation of its own, which TensorFlow Serving lacks: no export can hold one.",
            remedy="Pass --index exact or --index ivf; `tfrec.serving.index` has ScaNN for processes of your own.",
        )
    with step(console, "Loading the run"):
        loaded = load_run(run)
        data = options.data
        if data is None and earlier is not None and earlier["refreshed"]:
            data = earlier["data"]
        dataset = loaded.open_dataset(data)
    if earlier is not None:
        _check_same_weights(earlier, loaded, directory.newest())
        if data is not None:
            loaded.model.refresh_items(dataset)
    items = dataset.item_vocabulary
    users = dataset.vocabulary("user") if "user" in loaded.model.request_features else None
    candidates = _candidates(options.candidates, earlier, directory, items)
    version = directory.next_version(options.version)  # for now: others may publish meanwhile
    if options.dry_run:
        return dry_report(directory, loaded.model.registered_name, version, console)
    with step(console, f"Building the index ({config.index.kind}) and the signatures"):
        ranking = loaded.config.evaluation if config.rank_targets else None
        served = ServedModel(loaded.model, items, users=users, config=config, candidates=candidates, ranking=ranking)
        signatures = served.signatures()
    with step(console, "Golden requests"):
        answers = OfflineAnswers(loaded.model, items, users=users, k=config.k, candidates=candidates)
        requests = GoldenRequests(answers, list(signatures), sample_histories(dataset)).compose()
        recall = None
        if config.index.kind != "exact":
            recall = take_answers(requests, signatures, answers)
            console.print(f"The index finds {100 * recall:.1f} % of what exact search finds.", markup=False)
            if recall < _LOW_RECALL:
                console.print("WARNING: that is little. More probes find more: --set index.num_probes=N", markup=False)
    document: dict[str, Any] = {
        **export_facts(loaded),
        "data": public_url(dataset.path),
        "schema_hash": dataset.schema.hash,
        "vocabulary_hash": items.content_hash,
        "id_type": items.id_type,
        "items": items.size - 2,
        "candidates": answers.num_candidates,
        "config": config.model_dump(mode="json"),
        "recall": recall,
        "signatures": list(signatures),
        "request_features": list(loaded.model.request_features),
        "history_window": loaded.model.history_window,
        "items_only": options.items_only,
        "refreshed": options.items_only and data is not None,
    }
    texts = {SCHEMA_ASSET: dataset.schema.to_text()}
    if candidates is not None:
        texts[_CANDIDATES] = json.dumps(items.raw(candidates), ensure_ascii=False)
    new = NewVersion(
        document, served, signatures, requests, lambda complete: model_card(complete, loaded, dataset), texts
    )
    return publish_version(directory, new, console, version=options.version, verify=options.verify, keep=options.keep)


def _earlier_export(directory: VersionDirectory) -> dict[str, Any]:
    earlier = read_export(directory.newest())
    if earlier.get("kind") == CLICKS:
        raise ConfigError(
            f"`--items-only`: version {directory.newest().name} is a click model, which has no items.",
            remedy="Export a run with --run.",
        )
    return earlier


def _check_same_weights(earlier: Mapping[str, Any], loaded: LoadedRun, folder: Path) -> None:
    name = loaded.model.registered_name
    if (earlier["model"], earlier["checkpoint"]) != (name, loaded.checkpoint):
        raise DataError(
            f"`--items-only` leaves the model as it is, but version {folder.name} holds `{earlier['model']}` with the "
            f"weights `{earlier['checkpoint'][:40]}`, the run `{name}` with `{loaded.checkpoint[:40]}`.",
            file=folder,
            remedy="Export without --items-only.",
        )


def _candidates(
    path: Path | None, earlier: Mapping[str, Any] | None, directory: VersionDirectory, items: Vocabulary
) -> list[int] | None:
    """Candidates as given, else those of the earlier version; None: all."""
    if path is not None:
        return read_candidates(path, items)
    if earlier is None or earlier["candidates"] == earlier["items"]:
        return None
    raw = json.loads((directory.newest() / _CANDIDATES).read_text(encoding="utf-8"))
    return sorted(items.lookup(raw).tolist())
