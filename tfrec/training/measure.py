"""Measures a model and its baselines on one split, all by the same protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.config.run_config import RunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import ConfigError
from tfrec.evaluation.comparison import comparison_table
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.evaluation.ranking_result import RankingResult
from tfrec.evaluation.scorer import Scorer
from tfrec.models.counting_recommender import CountingRecommender
from tfrec.registry import model_class
from tfrec.training.model_store import build_model, run_config
from tfrec.training.result_store import ResultStore


def measure(
    scorers: Mapping[str, Scorer],
    dataset: InteractionDataset,
    settings: EvaluationConfig,
    console: Console,
    *,
    store: ResultStore | None = None,
    candidates: Sequence[int] | None = None,
) -> dict[str, RankingResult]:
    """Ranks the targets of a split with every scorer.

    Args:
        scorers: Models by the name they have in the table.
        dataset: The data.
        settings: Split, cut-offs, tie rule and history rule.
        console: For progress.
        store: Results that an interrupted evaluation left are taken from here, and new ones are kept here.
        candidates: Item indices that compete, instead of the whole catalogue.

    Returns:
        Results by name, in the same order.

    Raises:
        ConfigError: The split does not exist in the data set.
    """
    results: dict[str, RankingResult] = {}
    with console.status("") as status:
        for name, scorer in scorers.items():
            status.update(f"Ranking {dataset.num_targets(settings.split):,} targets of `{settings.split}` with {name}")
            result = store.get(name) if store is not None else None
            if result is None:
                result = evaluate_ranking(
                    scorer,
                    sequence_dataset(dataset, settings.split, settings.batch_size, bucket_by_length=True),
                    cutoffs=settings.cutoffs,
                    tie_rule=settings.tie_rule,
                    exclude_history=settings.exclude_history,
                    candidates=candidates,
                )
                if store is not None:
                    store.put(name, result)
            results[name] = result
    return results


def check_baselines(names: Sequence[str]) -> None:
    """Raises ConfigError unless every name is a registered counting model."""
    for name in names:
        if not issubclass(model_class(name), CountingRecommender):
            raise ConfigError(
                f"`evaluation.baselines` has `{name}`, which is trained, not counted.",
                remedy="Train it as a run of its own.",
            )


def fit_baselines(
    names: Sequence[str], dataset: InteractionDataset, config: RunConfig, console: Console
) -> dict[str, CountingRecommender]:
    """Counts the baselines on the training split, with their presets.

    Args:
        names: Registered counting models.
        dataset: The data.
        config: Run that they are compared in; gives the seed.
        console: For progress.

    Raises:
        ConfigError: A name is not a counting model.
    """
    check_baselines(names)
    baselines: dict[str, CountingRecommender] = {}
    with console.status("") as status:
        for name in names:
            status.update(f"Counting {name}")
            model = build_model(run_config(name, assignments=[f"seed={config.seed}"]), dataset)
            cast(CountingRecommender, model).fit_counts(dataset)
            baselines[name] = cast(CountingRecommender, model)
    return baselines


def print_results(results: Mapping[str, RankingResult], settings: EvaluationConfig, console: Console) -> None:
    """Prints one row per scorer, and the chance level."""
    cutoffs = sorted(settings.cutoffs)
    shown = [*(f"recall@{cutoff}" for cutoff in cutoffs), f"mrr@{cutoffs[-1]}", f"ndcg@{cutoffs[-1]}"]
    console.print(comparison_table(results, shown, split=settings.split))


def results_document(results: Mapping[str, RankingResult], model: str) -> dict[str, Any]:
    """Returns what `metrics.json` says of an evaluation: the model's metrics, the baselines', the chance level."""
    own = results[model]
    return {
        "metrics": own.as_dict(),
        "baselines": {name: result.metrics for name, result in results.items() if name != model},
        "chance": own.chance,
        "protocol": own.protocol,
        "tie_rule": own.tie_rule,
    }
