"""Exact full ranking beside an exhaustive faiss search of the same vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.repetition import seconds, take_turns
from tfrec.benchmarks.report import BenchmarkReport
from tfrec.evaluation.ranking import evaluate_ranking

_CUTOFF = 20
_RESERVED = 2


@dataclass(frozen=True)
class Settings:
    """Sizes of the benchmark.

    Attributes:
        small: Items and users of the small catalogue.
        large: Items and users of the large catalogue.
        dim: Width of the vectors.
        batch_size: Users per evaluation batch.
        repetitions: Rounds.
    """

    small: tuple[int, int] = (12_000, 20_000)
    large: tuple[int, int] = (1_000_000, 384)
    dim: int = 64
    batch_size: int = 256
    repetitions: int = 5


FULL = Settings()
QUICK = Settings(small=(12_000, 5_000), large=(200_000, 256), repetitions=3)


class FactorScorer:
    """Scorer with one given vector per user, so that only the ranking itself is timed.

    Args:
        users: Vector per user, float32 `[users, dim]`.
        items: Vector per item index, float32 `[vocab, dim]`.
    """

    def __init__(self, users: NDArray[np.float32], items: NDArray[np.float32]) -> None:
        self.vocab_size = len(items)
        self._users = tf.constant(users)
        self._items = tf.constant(items)

    def item_table(self) -> tuple[tf.Tensor, None]:
        """Returns the item vectors; there is no bias."""
        return self._items, None

    def encode_targets(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the vectors of the users of the batch, `[targets, dim]`: one target each."""
        return tf.gather(self._users, batch["user"])

    def score_targets(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns all scores, `[targets, vocab]`."""
        return tf.matmul(self.encode_targets(batch), self._items, transpose_b=True)


def run(settings: Settings, scratch: Path) -> BenchmarkReport:
    """Ranks one target per user among a small and a large catalogue."""
    del scratch
    report = BenchmarkReport("evaluation", "Exact full ranking", settings.repetitions, asdict(settings))
    report.notes.append(
        "tfrec returns the rank of every target and all metrics; faiss the best 20 ids of all users in one call."
    )
    for items, users in (settings.small, settings.large):
        _compare(report, settings, items, users)
    return report


def _compare(report: BenchmarkReport, settings: Settings, num_items: int, num_users: int) -> None:
    generator = np.random.default_rng(0)
    items = generator.standard_normal((num_items + _RESERVED, settings.dim), np.float32)
    users = generator.standard_normal((num_users, settings.dim), np.float32)
    targets = generator.integers(_RESERVED, num_items + _RESERVED, num_users).astype(np.int32)
    targets[::2] = _likely_targets(users[::2], items)
    scorer = FactorScorer(users, items)
    batches = _batches(targets, settings.batch_size)
    group = f"{num_items:,} items"
    found: dict[str, float] = {}

    def rank() -> None:
        found["tfrec"] = evaluate_ranking(scorer, batches, cutoffs=[_CUTOFF]).metrics[f"recall@{_CUTOFF}"]

    cases: dict[str, Callable[[], float]] = {"tfrec": lambda: num_users / seconds(rank)}
    try:
        import faiss
    except ImportError:
        report.notes.append("faiss-cpu is not installed (extra `dev`): there is no yardstick.")
    else:
        index = faiss.IndexFlatIP(settings.dim)
        index.add(items[_RESERVED:])

        def search() -> None:
            _, best = index.search(users, _CUTOFF)
            found["faiss"] = float((best + _RESERVED == targets[:, np.newaxis]).any(axis=1).mean())

        cases = {"faiss": lambda: num_users / seconds(search), **cases}
    rates = take_turns(cases, settings.repetitions)
    recall = found["tfrec"]
    report.check(0.4 < recall < 0.6, f"{group}: recall@{_CUTOFF} is about one half, as planted ({recall:.4f})")
    if "faiss" in found:
        same = abs(recall - found["faiss"]) <= 1.0 / num_users
        report.check(same, f"{group}: recall@{_CUTOFF} of ranking and search agree ({found['faiss']:.4f})")
        report.add(group, "faiss IndexFlatIP", "users/s", rates["faiss"])
    relative = "faiss IndexFlatIP" if "faiss" in found else ""
    report.add(group, "tfrec", "users/s", rates["tfrec"], relative_to=relative)


def _likely_targets(users: NDArray[np.float32], items: NDArray[np.float32]) -> NDArray[np.int32]:
    """Returns the best item of each user, a target that must not be missed."""
    best = []
    for start in range(0, len(users), 256):
        scores = tf.matmul(users[start : start + 256], items, transpose_b=True)  # [chunk, vocab]
        best.append(tf.argmax(scores[:, _RESERVED:], axis=1, output_type=tf.int32).numpy() + _RESERVED)
    return np.concatenate(best)


def _batches(targets: NDArray[np.int32], batch_size: int) -> list[dict[str, tf.Tensor]]:
    """Sequences of two events whose second is the target."""
    batches = []
    for start in range(0, len(targets), batch_size):
        target = targets[start : start + batch_size]
        batches.append(
            {
                "item": tf.constant(np.stack([np.full_like(target, _RESERVED), target], axis=1)),
                "length": tf.fill([len(target)], 2),
                "num_targets": tf.fill([len(target)], 1),
                "user": tf.range(start, start + len(target)),
            }
        )
    return batches
