"""The part of an evaluation that is about vectors of users."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.config.evaluation_config import BootstrapConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.evaluation.bootstrap import percentile_interval, resampled_means
from tfrec.evaluation.interest_probe import probe_interests
from tfrec.evaluation.user_retrieval import retrieve_users
from tfrec.evaluation.user_vectors import UserVectors, baseline_vectors, user_vectors
from tfrec.models.window_pair_encoder import WindowPairEncoder

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
        details: Also the probe of the next categories, which encodes up to 5,000 training users.

    Returns:
        `users`, `chance`, and under `models` the model and baselines without towers with `role`, `metrics`,
        `intervals`; of the model also `similarity`; under `probe` the share of events of short windows in the 10
        categories predicted first, by model, where items have categories.
    """
    users = user_vectors(model, dataset, split)
    vectors = {name: users.model, **baseline_vectors(users)}
    found = {own: retrieve_users(sides["long"], sides["short"], users.owner) for own, sides in vectors.items()}
    document: dict[str, Any] = {
        "split": split,
        "users": len(users.owner),
        "chance": found[name].chance(),
        "models": {
            own: {
                "role": "model" if own == name else "baseline",
                "metrics": result.metrics(),
                "intervals": result.intervals(bootstrap),
                **({"similarity": result.similarity()} if own == name else {}),
            }
            for own, result in found.items()
        },
    }
    if details and len(users.counts) > 1 and dataset.num_sequences("train") >= _LEAST_PROBED:
        document["probe"] = _probe(user_vectors(model, dataset, "train", _PROBED), users, bootstrap, name)
    return document


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
    models: dict[str, Any] = {own: {"value": float(values.mean())} for own, values in shares.items()}
    if bootstrap.samples:
        _, groups = np.unique(test.owner, return_inverse=True)
        estimates = resampled_means(shares, groups, samples=bootstrap.samples, seed=bootstrap.seed)
        for own, values in shares.items():
            bounds = percentile_interval("probe", float(values.mean()), estimates[own], bootstrap.confidence)
            models[own].update(low=bounds.low, high=bounds.high)
    return {"category": category, "train_users": len(train.owner), "models": models}


def probe_popular(popular: NDArray[Any], counts: Any) -> NDArray[np.float64]:
    """Returns the share of each user's events in the 10 categories that are the most frequent in training, `[users]`.

    Args:
        popular: Training events by category, `[categories]`.
        counts: Events by category, sparse `[users, categories]`.
    """
    first = np.argsort(-popular, kind="stable")[:10]
    dense = np.asarray(counts.todense(), np.float64)
    share: NDArray[np.float64] = dense[:, first].sum(axis=1) / np.maximum(dense.sum(axis=1), 1.0)
    return share
