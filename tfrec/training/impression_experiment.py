"""One run of a click model from start to end, and its evaluation again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec.config.run_config import ImpressionRunConfig
from tfrec.data.impressions.fields import FieldEncoder
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.errors import ConfigError, did_you_mean
from tfrec.files import write_json
from tfrec.training.click_evaluation import click_evaluation, print_click_evaluation
from tfrec.training.determinism import set_determinism
from tfrec.training.evaluation_document import finite_numbers
from tfrec.training.fit_impressions import fit_impressions
from tfrec.training.model_store import build_model, load_run, run_config
from tfrec.training.run_directory import RunDirectory
from tfrec.training.run_report import leave_report
from tfrec.training.run_start import check_splits, record_data, write_settings
from tfrec.training.synthetic_impressions import synthetic_impressions

ENCODER_FOLDER = "encoder"


def run_impression_experiment(
    config: ImpressionRunConfig,
    output: str | Path,
    console: Console,
    *,
    overwrite: bool = False,
    resume: bool = False,
    replayed: dict[str, Any] | None = None,
    report: bool = True,
) -> dict[str, Any]:
    """Trains a click model, measures it and writes the run directory; arguments and errors as of `run_experiment`."""
    run = RunDirectory(output)
    if config.data.path is not None and not resume:
        _check(ImpressionDataset.open(config.data.path), config)
    run.prepare(overwrite=overwrite, resume=resume)
    write_settings(run, config, resume=resume)
    dataset, best_auc = _open(config, run, console)
    _check(dataset, config)
    record_data(run, config, dataset, resume=resume, replayed=replayed)
    dataset.encoder.save(run.path / ENCODER_FOLDER)
    set_determinism(config.seed, deterministic=config.training.deterministic)
    model: Any = build_model(config, dataset)
    console.print(
        f"{config.model.name}: {model.count_params():,} parameters, {len(dataset.encoder.fields.fields)} features, "
        f"{dataset.num_rows('train'):,} training rows, {dataset.num_clicks('train'):,} clicks",
        markup=False,
    )
    training = fit_impressions(model, dataset, config, run, console, resume=resume)
    document = click_evaluation(model, dataset, config, run=str(run.path), best_auc=best_auc)
    _print(document, dataset, config, console)
    split = config.evaluation.split
    metrics = {split: document["metrics"], "baselines": document["baselines"], "train": finite_numbers(training)}
    run.write_json(run.evaluation_document, document)
    run.write_json(run.metrics, metrics)
    if report:
        leave_report(run.path, console)
    return metrics


def evaluate_impression_run(
    run: Path,
    console: Console,
    *,
    data: Sequence[str] = (),
    assignments: Sequence[str] = (),
    output: Path | None = None,
    report: Path | None = None,
) -> dict[str, Any]:
    """Measures the click model of a run again; arguments and errors as of `evaluate_run`."""
    loaded = load_run(run)
    config = run_config(loaded.config.model.name, file=loaded.directory.config, assignments=assignments)
    if not isinstance(config, ImpressionRunConfig):
        raise ConfigError(f"`{config.model.name}` is no click model.")
    encoder = FieldEncoder.load(loaded.directory.path / ENCODER_FOLDER)
    documents = []
    for path in data or [loaded.dataset_path]:
        dataset = ImpressionDataset.open(path)
        dataset.check_fields(encoder)
        _check(dataset, config)
        dataset.verify(config.evaluation.split)
        document = click_evaluation(loaded.model, dataset, config, run=str(run))
        _print(document, dataset, config, console)
        documents.append(document)
    result = documents[0] if len(documents) == 1 else {"evaluations": documents}
    if output is not None:
        write_json(output, result)
    if report is not None:
        from tfrec.evaluation.report.write_report import write_report

        write_report(run, report, evaluation=result)
        console.print(f"Report: {report}", markup=False)
    return result


def _check(dataset: ImpressionDataset, config: ImpressionRunConfig) -> None:
    check_splits(dataset, config)
    group = config.evaluation.group
    known = dataset.encoder.fields.categories
    if group is not None and group not in known:
        raise ConfigError(
            f"`evaluation.group` names `{group}`, which is no category of the data.", remedy=did_you_mean(group, known)
        )
    config.evaluation.slices_of(known)


def _print(document: dict[str, Any], dataset: ImpressionDataset, config: ImpressionRunConfig, console: Console) -> None:
    print_click_evaluation(document, console)
    _, passed_over = config.evaluation.slices_of(dataset.encoder.fields.categories)
    if passed_over:
        console.print(passed_over, markup=False, soft_wrap=True)


def _open(config: ImpressionRunConfig, run: RunDirectory, console: Console) -> tuple[ImpressionDataset, float | None]:
    if config.data.path is not None:
        return ImpressionDataset.open(config.data.path), None
    return synthetic_impressions(
        config.data.synthetic,
        run.dataset,
        console,
        max_length=getattr(config.model, "max_length", None),
        seed=config.seed,
    )
