"""From a run directory to a published version."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from tfrec.config.export_config import load_export_config
from tfrec.data.candidate_list import read_candidates
from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError, DataError
from tfrec.files import write_json
from tfrec.public_url import public_url
from tfrec.serving.file_digests import file_digests
from tfrec.serving.fresh_process import verify_export
from tfrec.serving.golden_requests import GoldenRequests, Request, sample_histories
from tfrec.serving.index_answers import take_answers
from tfrec.serving.model_card import model_card
from tfrec.serving.offline_answers import OfflineAnswers
from tfrec.serving.replay import GOLDEN_FILE
from tfrec.serving.served_model import ServedModel
from tfrec.serving.server_version import COMPOSE_TAG, needed_server, too_old
from tfrec.serving.version_directory import VersionDirectory
from tfrec.serving.warmup import write_warmup
from tfrec.training.model_store import SCHEMA_FILE, LoadedRun, load_run
from tfrec.training.run_manifest import software_versions, source_commit

FORMAT_VERSION = 1
EXPORT_FILE = "assets.extra/export.json"
CARD_FILE = "assets.extra/model_card.md"
_CANDIDATES = "assets.extra/candidates.json"
SCHEMA_ASSET = f"assets.extra/{SCHEMA_FILE}"
_LOW_RECALL = 0.9


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how.

    Attributes:
        run: Run directory. None: the one that the newest version was made of; only with `items_only`.
        assignments: Settings of `ExportConfig`, as `index.kind=ivf`.
        data: Data set with the schema of the run. Default: the one of the run.
        candidates: Text file with the raw ids of the items that may be recommended, one per line. Default: all.
        items_only: Make the item side of the newest version anew: settings that are not given stay as they are, and
            the weights must be the same ones; with `data`, what the data set says of the items is taken over.
        verify: Replay the golden requests in a fresh process before anything is published.
        version: Number of the version. Default: one more than the newest.
        keep: How many versions to keep. Default: all.
        dry_run: Check everything, write nothing.
    """

    run: Path | None = None
    assignments: Sequence[str] = ()
    data: str | None = None
    candidates: Path | None = None
    items_only: bool = False
    verify: bool = True
    version: int | None = None
    keep: int | None = None
    dry_run: bool = False


def export_run(output: Path, options: ExportOptions, console: Console) -> dict[str, Any]:
    """Exports the model of a run as a new version.

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
    earlier = _earlier_export(directory) if options.items_only else None
    run = options.run if options.run is not None else Path(earlier["run"]) if earlier is not None else None
    if run is None:
        raise ConfigError("No run is given.", remedy="Pass `--run RUN`.")
    if options.keep is not None and options.keep < 1:
        raise ConfigError(f"`--keep` is {options.keep}.", remedy="Keep at least 1 version.")
    config = load_export_config(None if earlier is None else earlier["config"], options.assignments)
    if config.index.kind == "scann":
        raise ConfigError(
            "ScaNN is an operation of its own, which TensorFlow Serving lacks: no export can hold one.",
            remedy="Pass --index exact or --index ivf; `tfrec.serving.index` has ScaNN for processes of your own.",
        )
    with _step(console, "Loading the run"):
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
        path = directory.folder(version)
        console.print(f"Would export {loaded.model.registered_name} to `{path}`.", markup=False)
        return {"model": loaded.model.registered_name, "version": version, "path": str(path)}
    with _step(console, f"Building the index ({config.index.kind}) and the signatures"):
        ranking = loaded.config.evaluation if config.rank_targets else None
        served = ServedModel(loaded.model, items, users=users, config=config, candidates=candidates, ranking=ranking)
        signatures = served.signatures()
    with _step(console, "Golden requests"):
        answers = OfflineAnswers(loaded.model, items, users=users, k=config.k, candidates=candidates)
        requests = GoldenRequests(answers, list(signatures), sample_histories(dataset)).compose()
        recall = None
        if config.index.kind != "exact":
            recall = take_answers(requests, signatures, answers)
            console.print(f"The index finds {100 * recall:.1f} % of what exact search finds.", markup=False)
            if recall < _LOW_RECALL:
                console.print("WARNING: that is little. More probes find more: --set index.num_probes=N", markup=False)
    document: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "model": loaded.model.registered_name,
        "version": version,
        "run": str(run.resolve()),
        "data": public_url(dataset.path),
        "checkpoint": loaded.checkpoint,
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
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "versions": software_versions(),
        "server": needed_server(tf.__version__),
        "verified": None,
    }

    def finish(folder: Path, number: int) -> None:
        document["version"] = number
        (folder / CARD_FILE).write_text(model_card(document, loaded, dataset), encoding="utf-8")
        write_json(folder / EXPORT_FILE, document)

    with directory.new_version(options.version, finish=finish) as folder:
        with _step(console, "Writing the SavedModel"):
            tf.saved_model.save(served, str(folder), signatures=signatures)
            _write_extras(folder, document, dataset, requests, signatures)
            if candidates is not None:
                ids = json.dumps(items.raw(candidates), ensure_ascii=False)
                (folder / _CANDIDATES).write_text(ids, encoding="utf-8")
        if options.verify:
            with _step(console, f"Replaying {len(requests)} golden requests in a process that has only TensorFlow"):
                report = verify_export(folder)
            document["verified"] = {key: report[key] for key in ("requests", "seconds", "ops")}
        document["files"] = file_digests(folder)
    removed = _prune(directory, options.keep, console)
    path = directory.folder(document["version"])
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    console.print(f"Published {path} ({size / 1e6:,.1f} MB)", markup=False)
    if removed:
        console.print(f"Removed versions {', '.join(map(str, removed))}", markup=False)
    if too_old(COMPOSE_TAG, tf.__version__):
        console.print(
            f"Servers must be of TensorFlow {document['server']} or later; deploy/docker-compose.yml takes "
            f"{COMPOSE_TAG} unless TF_SERVING_TAG names another image.",
            markup=False,
        )
    return {**document, "path": str(path), "removed": removed}


def read_export(folder: Path) -> dict[str, Any]:
    """Reads `export.json` of a version.

    Raises:
        DataError: The file is missing, damaged, or of another format.
    """
    path = folder / EXPORT_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        versions = VersionDirectory(folder).versions()
        if versions:
            raise DataError(
                f"A directory of versions, not a version: {', '.join(map(str, versions))}.",
                file=folder,
                remedy=f"Pass one of them, for example `{VersionDirectory(folder).newest()}`.",
            ) from error
        raise DataError(
            f"Not a version that tfrec exported ({type(error).__name__}).",
            file=path,
            remedy="Pass DIR/VERSION of an export; one that was rolled back is parked as DIR/.VERSION.rolled-back.",
        ) from error
    if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
        raise DataError("The export has another format.", file=path, remedy="Export again with this tfrec.")
    return document


def _earlier_export(directory: VersionDirectory) -> dict[str, Any]:
    return read_export(directory.newest())


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


def _write_extras(
    folder: Path,
    document: dict[str, Any],
    dataset: InteractionDataset,
    requests: Sequence[Request],
    signatures: Mapping[str, Any],
) -> None:
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / SCHEMA_ASSET).write_text(dataset.schema.to_text(), encoding="utf-8")
    (folder / GOLDEN_FILE).write_text(json.dumps(requests, ensure_ascii=False), encoding="utf-8")
    document["warmup"] = write_warmup(folder, document["model"], requests, signatures)


def _prune(directory: VersionDirectory, keep: int | None, console: Console) -> list[int]:
    """Removes old versions; that this fails does not undo the publication."""
    try:
        return [] if keep is None else directory.prune(keep)
    except (DataError, OSError) as error:
        console.print(f"WARNING: The old versions stay: {error}", markup=False)
        return []


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started = time.perf_counter()
    with console.status(what):
        yield
    console.print(f"{what}: {time.perf_counter() - started:.1f} s", markup=False)
