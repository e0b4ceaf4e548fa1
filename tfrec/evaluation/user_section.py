"""The part of an evaluation that is about vectors of users."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.evaluation.interest_probe import probe_interests, probe_popular
from tfrec.evaluation.user_retrieval import UserRetrieval, mean_intervals, retrieve_users
from tfrec.evaluation.user_vectors import UserVectors, baseline_vectors, user_vectors
from tfrec.models.window_pair_encoder import WindowPairEncoder

_COMPARED = ("user_recall@1", "user_recall@10", "user_mrr")
_PROBED = 5000
_LEAST_PROBED = 100


def user_section(
    model: WindowPairEncoder,
    dataset: InteractionDataset,
    split: str,
    bootstrap: BootstrapConfig,
    *,
    name: str,
    details: bool = True,
) -> dict[str, Any]:
    """Measures the vectors of the users of a split.

    Args:
        model: A trained model.
        dataset: The data.
        split: Name of the split.
        bootstrap: How intervals are made.
        name: Name of the model.
        details: Also the probe of the next categories, which encodes up to 5,000 training users, drawn.

    Returns:
        `users`, `chance`, and under `models` the model and baselines without towers with `role`, `metrics`,
        `intervals`; of the model also `similarity`, of baselines `difference`, by which the model is ahead, with its
        interval by resampling users; under `probe` the share of events of short windows in the 10
        categories predicted first, by model, where items have categories.
    """
    users = user_vectors(model, dataset, split)
    vectors = itertools.chain([(name, users.model)], baseline_vectors(users))
    found = {own: retrieve_users(sides["long"], sides["short"], users.owner) for own, sides in vectors}
    document: dict[str, Any] = {
        "split": split,
        "users": len(users.owner),
        "chance": found[name].chance(),
        "models": {
            own: {
                "role": "model" if own == name else "baseline",
                "metrics": result.metrics(),
                "intervals": result.intervals(bootstrap),
                **(
                    {"similarity": result.similarity()}
                    if own == name
                    else {"difference": _difference(found[name], result, bootstrap)}
                ),
            }
            for own, result in found.items()
        },
    }
    if details and len(users.counts) > 1 and dataset.num_sequences("train") >= _LEAST_PROBED:
        document["probe"] = _probe(user_vectors(model, dataset, "train", _PROBED), users, bootstrap, name)
    return document


def _difference(model: UserRetrieval, baseline: UserRetrieval, bootstrap: BootstrapConfig) -> dict[str, Any]:
    own, other = model.gains(), baseline.gains()
    gaps = {metric: own[metric] - other[metric] for metric in _COMPARED}
    bounds = mean_intervals(gaps, model.owner, bootstrap)
    return {metric: {"value": float(values.mean()), **bounds.get(metric, {})} for metric, values in gaps.items()}


def _probe(train: UserVectors, test: UserVectors, bootstrap: BootstrapConfig, name: str) -> dict[str, Any]:
    category = next(own for own in test.counts if own != "item")
    sides = {name: (train.model, test.model), "mean_pooling": (train.pooled, test.pooled)}
    labels = [part.counts[category]["short"] for part in (train, test)]
    shares = {
        own: probe_interests(fit["long"], labels[0], measured["long"], labels[1])
        for own, (fit, measured) in sides.items()
    }
    popular = np.asarray(labels[0].sum(axis=0))[0]
    shares["popularity"] = probe_popular(popular, labels[1])
    _, owner = np.unique(test.owner, return_inverse=True)
    bounds = mean_intervals(shares, owner, bootstrap)
    models = {own: {"value": float(values.mean()), **bounds.get(own, {})} for own, values in shares.items()}
    return {"category": category, "train_users": len(train.owner), "models": models}
