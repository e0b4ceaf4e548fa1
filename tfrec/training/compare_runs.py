"""Two runs on the same targets: is the difference more than luck?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.paired_comparison import compare_results
from tfrec.tables import make_table
from tfrec.training.evaluation_document import FORMAT_VERSION
from tfrec.training.experiment import check_dataset
from tfrec.training.measure import measure
from tfrec.training.model_store import LoadedRun, load_run, run_config


def compare_runs(
    first: Path, second: Path, console: Console, *, data: str | None = None, assignments: Sequence[str] = ()
) -> dict[str, Any]:
    """Measures two runs by one protocol and resamples the difference, target by target.

    Args:
        first: A run directory.
        second: Another one.
        console: For progress.
        data: Measure both on this data set. Default: that of the runs, which must be the same.
        assignments: Changes of the evaluation of both runs, such as `evaluation.split=valid`.

    Returns:
        `runs`, `models`, `data`, `split`, `bootstrap` and per protocol a row for each metric: both values, the chance
        level, the difference (first minus second), its interval, the two-sided p-value and the share of resamples in
        which the first run is better.

    Raises:
        ConfigError: The runs were made with different data or are measured by different protocols.
        DataError: A run directory or the data is missing or damaged.
    """
    runs = [load_run(first), load_run(second)]
    configs = [run_config(run.config.model.name, file=run.directory.config, assignments=assignments) for run in runs]
    settings = [config.evaluation for config in configs]
    _check_same_protocol(first, second, *settings)
    if data is None:
        _check_same_data(first, second, *runs)
    if not settings[0].bootstrap.samples:
        raise ConfigError("There is nothing to resample.", remedy="Set `evaluation.bootstrap.samples` to at least 1.")
    shared = settings[0].model_copy(update={"details": False})
    results = []
    for run, config in zip(runs, configs, strict=True):
        dataset = run.open_dataset(data or runs[0].dataset_path)
        check_dataset(dataset, config)
        dataset.verify(shared.split)
        measured = measure({config.model.name: run.model}, dataset, shared, console)
        results.append({protocol: found[config.model.name] for protocol, found in measured.items()})
    return {
        "format_version": FORMAT_VERSION,
        "runs": [str(first), str(second)],
        "models": [run.config.model.name for run in runs],
        "data": data or runs[0].dataset_path,
        "split": shared.split,
        "protocols": [compare_results(ours, results[1][name], shared.bootstrap) for name, ours in results[0].items()],
        "bootstrap": shared.bootstrap.model_dump(),
    }


def print_comparison(document: Mapping[str, Any], console: Console) -> None:
    """Prints the document of `compare_runs`: one table per protocol."""
    first, second = document["runs"]
    samples, confidence = document["bootstrap"]["samples"], 100 * document["bootstrap"]["confidence"]
    console.print(f"A: {first} ({document['models'][0]})\nB: {second} ({document['models'][1]})", markup=False)
    columns = ["metric", "A", "B", "chance", "A - B", "from", "to", "p", "better"]
    keys = ("metric", "a", "b", "chance", "difference", "low", "high", "p_value", "share_better")
    for protocol in document["protocols"]:
        title = (
            f"{protocol['num_targets']:,} targets of `{document['split']}` (ranking: {protocol['label']}; "
            f"ties: {protocol['tie_rule']}), {confidence:g} % intervals of {samples:,} resamples; "
            "better: share of them in which A is better"
        )
        rows = [
            [_cell(key, row[key]) for key in keys] for row in protocol["rows"] if not row["metric"].startswith("hit@")
        ]
        console.print(make_table(title, columns, rows))


def _cell(key: str, value: Any) -> Any:
    """Returns what fits into 80 columns: p-values with three decimals, shares in percent, ranks with one decimal."""
    if not isinstance(value, float):
        return value
    if key == "share_better":
        return f"{value:.1%}"
    return f"{value:.3f}" if key == "p_value" else f"{value:.1f}" if abs(value) >= 100 else value


def _check_same_protocol(first: Path, second: Path, ours: EvaluationConfig, theirs: EvaluationConfig) -> None:
    found, other = _protocol_settings(ours), _protocol_settings(theirs)
    for key in [*found, *other]:
        if found.get(key) != other.get(key):
            raise ConfigError(
                f"`{first}` is measured with evaluation.{key} `{found.get(key)}`, `{second}` with `{other.get(key)}`: "
                "their numbers mean different things.",
                remedy=f"Measure both in the same way: --set evaluation.{key}=...",
            )


def _protocol_settings(settings: EvaluationConfig) -> dict[str, object]:
    """What must agree for two numbers to mean the same; everything else of a run may differ."""
    kept: dict[str, object] = {
        key: getattr(settings, key) for key in ("split", "protocol", "cutoffs", "tie_rule", "exclude_history")
    }
    if settings.protocol != "full":
        kept |= {f"sampled.{key}": value for key, value in settings.sampled.model_dump().items()}
    return kept


def _check_same_data(first: Path, second: Path, ours: LoadedRun, theirs: LoadedRun) -> None:
    made_with, other = ours.manifest["dataset"], theirs.manifest["dataset"]
    shards, other_shards = made_with["shards"], other["shards"]
    changed = [split for split in {**shards, **other_shards} if shards.get(split) != other_shards.get(split)]
    if made_with["schema_hash"] != other["schema_hash"] or changed:
        what = f"splits {', '.join(f'`{split}`' for split in changed)}" if changed else "features or vocabularies"
        raise ConfigError(
            f"`{first}` and `{second}` were made with different data ({what} differ): they cannot be compared.",
            remedy="Train both on the same data set, or name one to measure both on with --data.",
        )
