"""A trained run, measured again: on another split, by another protocol, on other data."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec.config.run_config import ImpressionRunConfig, PairRunConfig
from tfrec.data.candidate_list import read_candidates
from tfrec.errors import ConfigError
from tfrec.evaluation.branch_scorer import BranchScorer
from tfrec.evaluation.scorer import Scorer
from tfrec.files import write_json
from tfrec.training.evaluation_document import evaluation_document
from tfrec.training.impression_experiment import evaluate_impression_run
from tfrec.training.measure import fit_baselines, measure
from tfrec.training.model_store import load_run, run_config
from tfrec.training.print_evaluation import print_evaluation
from tfrec.training.rerank_evaluation import add_rerank_section
from tfrec.training.result_store import ResultStore
from tfrec.training.run_start import check_splits
from tfrec.training.user_evaluation import add_user_section
from tfrec.training.user_splits import check_users_unseen


def evaluate_run(
    run: Path,
    console: Console,
    *,
    data: Sequence[str] = (),
    assignments: Sequence[str] = (),
    candidates: Path | None = None,
    baselines: bool = True,
    output: Path | None = None,
    report: Path | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Measures the model of a run beside its baselines, prints tables and writes what is asked for.

    Args:
        run: The run directory.
        console: For progress and tables.
        data: Dataset directories with the schema of the run. Default: the data set of the run.
        assignments: Changes of the configuration, such as `evaluation.split=valid`.
        candidates: Text file with the raw ids of the items that compete, one per line. Default: all items.
        baselines: Count and measure the baselines of the configuration too.
        output: JSON file for the result; until it is written, results of single models are kept beside it.
        report: HTML file for a report.
        resume: Take over the results of single models that an interrupted call left.

    Returns:
        `evaluation_document`; with several data sets, `{"evaluations": [...]}`.

    Raises:
        ConfigError: An option is missing or does not go with another one.
        DataError: The run, the data or the list of candidates is missing or damaged.
    """
    if resume and output is None:
        raise ConfigError("`--resume` needs `--output`: only a call with an output file keeps intermediate results.")
    if report is not None and len(data) > 1:
        raise ConfigError("A report shows one data set.", remedy="Call once for each `--data`.")
    loaded = load_run(run)
    config = run_config(loaded.config.model.name, file=loaded.directory.config, assignments=assignments)
    if isinstance(config, ImpressionRunConfig):
        if candidates is not None or resume:
            raise ConfigError("`--candidates` and `--resume` are for recommenders, not for click models.")
        return evaluate_impression_run(run, console, data=data, assignments=assignments, output=output, report=report)
    if candidates is not None and config.evaluation.rerank.methods:
        raise ConfigError(
            "Re-ranking does not go with `--candidates`: it orders the best of all items anew.",
            remedy="Leave one of them out (evaluation.rerank.methods).",
        )
    name = config.model.name
    partial = None if output is None else output.with_name(f"{output.name}.partial")
    documents = []
    for number, path in enumerate(data or [loaded.dataset_path]):
        dataset = loaded.open_dataset(path)
        check_splits(dataset, config)
        if isinstance(config, PairRunConfig):
            check_users_unseen(dataset, config.evaluation.split, loaded.manifest)
        for split in {"train", config.evaluation.split} if baselines else {config.evaluation.split}:
            dataset.verify(split)
        subset = read_candidates(candidates, dataset.item_vocabulary) if candidates is not None else None
        scorers: dict[str, Scorer] = {}
        if baselines:
            scorers.update(fit_baselines(config.evaluation.baselines, dataset, config, console))
        if config.evaluation.parts:
            parts = loaded.model.scored_parts
            scorers |= {part: BranchScorer(loaded.model, method) for part, method in parts.items()}
        scorers[name] = loaded.model
        store = None
        if partial is not None:
            made_from = {
                "config": config.model_dump(mode="json"),
                "data": dataset.manifest.model_dump(mode="json"),
                "checkpoint": loaded.checkpoint,
                "candidates": subset,
            }
            store = ResultStore(partial / str(number), made_from, resume=resume)
        results = measure(scorers, dataset, config.evaluation, console, store=store, candidates=subset)
        document = evaluation_document(results, dataset, config.evaluation, model=name, run=str(run))
        print_evaluation(results, document, config.evaluation, console)
        add_user_section(document, loaded.model, dataset, config.evaluation, console)
        add_rerank_section(document, loaded.model, dataset, config.evaluation, console)
        documents.append({**document, "data": path})
    result = documents[0] if len(documents) == 1 else {"evaluations": documents}
    if output is not None and partial is not None:
        write_json(output, result)
        shutil.rmtree(partial, ignore_errors=True)
    if report is not None:
        from tfrec.evaluation.report.write_report import write_report  # its figures take a second to import

        write_report(run, report, evaluation=result)
        console.print(f"Report: {report}", markup=False)
    return result
