"""From the run of a click model to a published version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec.config.click_export_config import ClickExportConfig
from tfrec.config.load import load_section
from tfrec.data.impressions.fields import FieldEncoder
from tfrec.errors import ConfigError
from tfrec.serving.clicks.click_model_card import click_model_card
from tfrec.serving.clicks.click_requests import ClickRequests
from tfrec.serving.clicks.input_types import types_like
from tfrec.serving.clicks.offline_click_answers import OfflineClickAnswers
from tfrec.serving.clicks.served_click_model import ServedClickModel
from tfrec.serving.export_document import CLICKS, SCHEMA_ASSET, export_facts
from tfrec.serving.export_options import ExportOptions
from tfrec.serving.publish_version import NewVersion, dry_report, publish_version, step
from tfrec.serving.version_directory import VersionDirectory
from tfrec.training.fit_impressions import weight_of_clicks
from tfrec.training.impression_experiment import ENCODER_FOLDER
from tfrec.training.model_store import load_run

_RECOMMENDERS_ONLY = ("k", "index", "rank_targets")


def export_click_run(
    directory: VersionDirectory, run: Path, options: ExportOptions, console: Console
) -> dict[str, Any]:
    """Exports a click model; see `tfrec.serving.export_run.export_run`, which calls it.

    Nothing but the run is read: what the graph must know of columns lies in the run.

    Args:
        directory: The directory of all versions.
        run: Run directory.
        options: What and how; without what only recommenders have.
        console: For progress.
    """
    config = _config(options)
    with step(console, "Loading the run"):
        loaded = load_run(run)
        encoder = FieldEncoder.load(loaded.directory.path / ENCODER_FOLDER)
    model: Any = loaded.model
    trained: Any = loaded.config
    if options.like is not None:
        config = config.model_copy(update={"types": {**types_like(options.like, encoder), **config.types}})
    version = directory.next_version(options.version)
    if options.dry_run:
        return dry_report(directory, model.registered_name, version, console)
    with step(console, "Building the signatures"):
        weight = weight_of_clicks(trained.objective, model.click_rate)
        served = ServedClickModel(model, encoder, config, positive_weight=weight)
        signatures = served.signatures()
    with step(console, "Golden requests"):
        answers = OfflineClickAnswers(model, encoder, served.shift)
        requests = ClickRequests(answers, served.columns, list(signatures)).compose()
    document: dict[str, Any] = {
        "kind": CLICKS,
        **export_facts(loaded),
        "data": loaded.dataset_path,
        "schema_hash": encoder.schema.hash,
        "fields_hash": encoder.hash,
        "label": encoder.fields.label,
        "click_rate": model.click_rate,
        "logit_shift": served.shift,
        "config": config.model_dump(mode="json"),
        "signatures": list(signatures),
        "inputs": {
            column.field.name: {"input": column.name, "kind": column.field.kind, "type": column.type}
            | ({"separator": column.field.separator} if column.field.is_list else {})
            for column in served.columns
        },
        "history_window": model.max_length,
    }
    new = NewVersion(
        document,
        served,
        signatures,
        requests,
        lambda complete: click_model_card(complete, loaded, encoder),
        {SCHEMA_ASSET: encoder.schema.to_text()},
    )
    return publish_version(directory, new, console, version=options.version, verify=options.verify, keep=options.keep)


def _config(options: ExportOptions) -> ClickExportConfig:
    keys = [assignment.partition("=")[0].partition(".")[0].strip() for assignment in options.assignments]
    foreign = {f"`{key}`": key in keys for key in _RECOMMENDERS_ONLY}
    foreign |= {"`--items-only`": options.items_only, "`--candidates`": options.candidates is not None}
    foreign |= {"`--data`": options.data is not None}
    for what, given in foreign.items():
        if given:
            raise ConfigError(
                f"{what} is for recommenders; a click model scores rows and has no catalogue.",
                remedy="Leave it out. Click models have `--like FILE` and the settings `calibrate` and `types`.",
            )
    return load_section(ClickExportConfig, options.assignments)
