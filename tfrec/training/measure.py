"""Measures a model and its baselines on one split, all by the same protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

import tensorflow as tf
from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.config.run_config import RunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.sequence_pipeline import sequence_dataset
from tfrec.errors import ConfigError
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.evaluation.ranking_result import RankingResult
from tfrec.evaluation.sampled_negatives import SampledNegatives
from tfrec.evaluation.sampled_ranking import evaluate_sampled
from tfrec.evaluation.scorer import Batch, Scorer
from tfrec.models.counting_recommender import CountingRecommender
from tfrec.registry import model_class
from tfrec.training.model_store import build_model, run_config
from tfrec.training.result_store import ResultStore

Results = dict[str, dict[str, RankingResult]]
"""Results by protocol (`full`, `subset` or `sampled`), then by model."""


def measure(
    scorers: Mapping[str, Scorer],
    dataset: InteractionDataset,
    settings: EvaluationConfig,
    console: Console,
    *,
    store: ResultStore | None = None,
    candidates: Sequence[int] | None = None,
) -> Results:
    """Ranks the targets of a split with every scorer, by every protocol of the settings.

    Args:
        scorers: Models by the name they have in the table.
        dataset: The data.
        settings: Split, protocols, cut-offs, tie rule and history rule.
        console: For progress.
        store: Results that an interrupted evaluation left are taken from here, and new ones are kept here.
        candidates: Item indices that compete, instead of the whole catalogue.

    Returns:
        Results by protocol and name, in the same order; the full ranking comes first.

    Raises:
        ConfigError: The split does not exist in the data set, or candidates are given for sampled ranking.
    """
    rankings = _rankings(dataset, settings, candidates)
    results: Results = {protocol: {} for protocol in rankings}
    with console.status("") as status:
        for protocol, rank in rankings.items():
            for name, scorer in scorers.items():
                targets = f"{dataset.num_targets(settings.split):,} targets of `{settings.split}`"
                status.update(f"Ranking {targets} with {name} ({protocol})")
                result = store.get(f"{protocol}-{name}") if store is not None else None
                if result is None:
                    result = rank(scorer)
                    if store is not None:
                        store.put(f"{protocol}-{name}", result)
                results[protocol][name] = result
    return results


def evaluation_batches(dataset: InteractionDataset, settings: EvaluationConfig) -> Iterable[Batch]:
    """Returns the batches of the split that is measured, with the targets that are."""
    found = sequence_dataset(dataset, settings.split, settings.batch_size, bucket_by_length=True)
    most = settings.targets_per_sequence
    if not most:
        return found
    return found.map(lambda batch: {**batch, "num_targets": tf.minimum(batch["num_targets"], most)})


def _rankings(
    dataset: InteractionDataset, settings: EvaluationConfig, candidates: Sequence[int] | None
) -> dict[str, Callable[[Scorer], RankingResult]]:
    if candidates is not None and settings.protocol != "full":
        raise ConfigError(
            f"A list of candidates does not go with the protocol `{settings.protocol}`.",
            remedy="Use `--protocol full`, which then ranks among these candidates.",
        )

    def batches() -> Iterable[Batch]:
        return evaluation_batches(dataset, settings)

    def full(scorer: Scorer) -> RankingResult:
        return evaluate_ranking(
            scorer,
            batches(),
            cutoffs=settings.cutoffs,
            tie_rule=settings.tie_rule,
            exclude_history=settings.exclude_history,
            candidates=candidates,
            keep_ranks=True,
            details=settings.details,
        )

    rankings: dict[str, Callable[[Scorer], RankingResult]] = {}
    if settings.protocol != "sampled":
        rankings["full" if candidates is None else "subset"] = full
    if settings.protocol != "full":
        negatives = SampledNegatives(settings.sampled, dataset.item_vocabulary.counts)

        def sampled(scorer: Scorer) -> RankingResult:
            return evaluate_sampled(
                scorer,
                batches(),
                negatives,
                label=negatives.label,
                cutoffs=settings.cutoffs,
                tie_rule=settings.tie_rule,
                keep_ranks=True,
            )

        rankings["sampled"] = sampled
    return rankings


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
