"""One run from start to end: data, model, training, evaluation, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec.config.clickstream_config import ClickstreamConfig
from tfrec.config.run_config import (
    GradientRunConfig,
    ImpressionRunConfig,
    PairRunConfig,
    RunConfig,
    StagedRunConfig,
)
from tfrec.data.dataset import InteractionDataset
from tfrec.data.semantic_ids import read_health
from tfrec.evaluation.branch_scorer import BranchScorer
from tfrec.evaluation.scorer import Scorer
from tfrec.training.determinism import set_determinism
from tfrec.training.device_strategy import device_strategy
from tfrec.training.evaluation_document import evaluation_document, metrics_document
from tfrec.training.fit_counts import fit_counts
from tfrec.training.fit_sequences import fit_sequences
from tfrec.training.fit_session_parallel import fit_session_parallel
from tfrec.training.fit_stages import fit_stages
from tfrec.training.fit_user_pairs import fit_user_pairs
from tfrec.training.measure import check_baselines, fit_baselines, measure
from tfrec.training.model_store import build_model
from tfrec.training.print_evaluation import print_evaluation
from tfrec.training.rerank_evaluation import add_rerank_section
from tfrec.training.result_store import ResultStore
from tfrec.training.run_directory import RunDirectory
from tfrec.training.run_report import leave_report
from tfrec.training.run_start import check_splits, check_vectors, record_data, write_settings
from tfrec.training.synthetic_data import optimum_scorer, synthetic_dataset
from tfrec.training.user_evaluation import add_user_section
from tfrec.training.user_splits import check_users_apart

_FITTED = (GradientRunConfig, StagedRunConfig)
_LOOPS: dict[str, Callable[..., dict[str, Any]]] = {
    "counts": fit_counts,
    "session_parallel": fit_session_parallel,
    "sequences": fit_sequences,
    "user_pairs": fit_user_pairs,
    "stages": fit_stages,
}


def run_experiment(
    config: RunConfig,
    output: str | Path,
    console: Console,
    *,
    overwrite: bool = False,
    resume: bool = False,
    replayed: dict[str, Any] | None = None,
    report: bool = True,
) -> dict[str, Any]:
    """Trains a model, measures it beside its baselines and writes the run directory.

    Args:
        config: Effective configuration.
        output: Run directory.
        console: For progress and the table.
        overwrite: Replace an earlier run in `output`.
        resume: Continue the run in `output`.
        replayed: Manifest of a run that is repeated; its data must be unchanged.
        report: Leave `report.html` in the run directory.

    Returns:
        The content of `metrics.json`.

    Raises:
        ConfigError: The output directory is occupied, or the configuration does not fit the run that is resumed.
        DataError: The data set is missing, damaged or lacks the split to evaluate.
        TrainingError: The loss became NaN or infinite.
    """
    if isinstance(config, ImpressionRunConfig):
        from tfrec.training.impression_experiment import run_impression_experiment

        return run_impression_experiment(
            config, output, console, overwrite=overwrite, resume=resume, replayed=replayed, report=report
        )
    check_baselines(config.evaluation.baselines)
    run = RunDirectory(output)
    if config.data.path is not None and not resume:
        check_dataset(InteractionDataset.open(config.data.path), config)
    run.prepare(overwrite=overwrite, resume=resume)
    write_settings(run, config, resume=resume)
    dataset = _open_dataset(config, run, console)
    check_dataset(dataset, config)
    record_data(run, config, dataset, resume=resume, replayed=replayed)
    set_determinism(config.seed, deterministic=isinstance(config, _FITTED) and config.training.deterministic)
    strategy = device_strategy(config)
    with strategy.scope():
        model = build_model(config, dataset)
    console.print(
        f"{config.model.name}: {model.count_params():,} parameters, {dataset.item_vocabulary.size - 2:,} items, "
        f"{dataset.num_sequences('train'):,} training sequences, {dataset.num_events('train'):,} events",
        markup=False,
    )
    health = read_health(dataset) if getattr(config.model, "item_features", None) is True else {}
    if health:
        run.write_json(run.semantic_ids, health)
    with strategy.scope():
        training = _LOOPS[model.training_scheme](model, dataset, config, run, console, resume=resume)
    scorers: dict[str, Scorer] = dict(fit_baselines(config.evaluation.baselines, dataset, config, console))
    if config.evaluation.parts:
        scorers |= {name: BranchScorer(model, method) for name, method in model.scored_parts.items()}
    scorers[config.model.name] = model
    if config.data.path is None and isinstance(config.data.synthetic, ClickstreamConfig):
        scorers["optimum"] = optimum_scorer(config.data.synthetic, dataset)
    made_from = {"config": config.model_dump(mode="json"), "data": dataset.manifest.model_dump(mode="json")}
    store = ResultStore(run.evaluation, made_from, resume=resume)
    results = measure(scorers, dataset, config.evaluation, console, store=store)
    document = evaluation_document(results, dataset, config.evaluation, model=config.model.name, run=str(run.path))
    print_evaluation(results, document, config.evaluation, console)
    add_user_section(document, model, dataset, config.evaluation, console)
    add_rerank_section(document, model, dataset, config.evaluation, console)
    metrics = metrics_document(document, training)
    run.write_json(run.evaluation_document, document)
    run.write_json(run.metrics, metrics)
    store.clear()
    if report:
        leave_report(run.path, console)
    return metrics


def check_dataset(dataset: InteractionDataset, config: RunConfig) -> None:
    """Raises DataError unless the data set has the splits that the run needs, fit to be measured, and the vectors."""
    check_splits(dataset, config)
    check_vectors(dataset, config)
    if isinstance(config, PairRunConfig):
        validated = [name for name in ("valid",) if config.training.patience and name in dataset.splits]
        check_users_apart(dataset, [config.evaluation.split, *validated])


def _open_dataset(config: RunConfig, run: RunDirectory, console: Console) -> InteractionDataset:
    if config.data.path is not None:
        return InteractionDataset.open(config.data.path)
    return synthetic_dataset(config.data.synthetic, run.dataset, console)
