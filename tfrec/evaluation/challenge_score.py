"""Score of the advertising challenge: one hidden item per user, lists of ten."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfrec.seeds import derive_seed

CUTOFF = 10
HIT_SHARE, NDCG_SHARE = 0.31, 0.69
_SAMPLES = 1000


def challenge_score(places: npt.NDArray[np.int64], *, seed: int = 0) -> dict[str, float]:
    """Returns `hit@10`, `ndcg@10`, `score` = 0.31 hit + 0.69 ndcg, and the 95 % bootstrap interval of the score.

    Args:
        places: Place of every user's hidden item in his list, from 0; -1 where it is not among the first ten.
        seed: Seed of the resamples.

    Example:
        >>> found = challenge_score(np.array([0, -1]))
        >>> found["hit@10"], found["ndcg@10"], found["score"]
        (0.5, 0.5, 0.5)
    """
    hit = (places >= 0) & (places < CUTOFF)
    gain = np.where(hit, 1.0 / np.log2(np.where(hit, places, 0) + 2.0), 0.0)
    score = HIT_SHARE * hit + NDCG_SHARE * gain  # [users]
    random = np.random.default_rng(derive_seed(seed, "challenge score"))
    means = [float(score[random.integers(0, len(score), len(score))].mean()) for _ in range(_SAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return {
        "hit@10": float(hit.mean()),
        "ndcg@10": float(gain.mean()),
        "score": float(score.mean()),
        "score_low": float(low),
        "score_high": float(high),
    }
