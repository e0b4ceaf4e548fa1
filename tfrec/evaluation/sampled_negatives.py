"""Negatives of the sampled protocol: fixed by a seed, distinct, and the same for every model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.evaluation_config import SampledConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.counter_random import Keys, id_keys, mixed, uniforms

Indices = NDArray[np.int32]


class SampledNegatives:
    """Draws distinct negatives without replacement, in proportion to the weights of the items.

    What is drawn for a target depends on the seed, the user's (or session's) id, the time of its first event and the
    place of the target in it, and on nothing else: not on the model, the order of the sequences or the batch size.
    Items are drawn one after the other; the target, items drawn before and, on request, items of the history are
    passed over.

    Args:
        config: Number, distribution, seed and history rule.
        item_counts: Number of training events by item index, `[vocab]`; padding and out of vocabulary are passed over.

    Raises:
        ConfigError: There are fewer items than negatives.
    """

    def __init__(self, config: SampledConfig, item_counts: NDArray[np.int64]) -> None:
        self.config = config
        weights = np.ones(item_counts.size) if config.distribution == "uniform" else item_counts.astype(np.float64)
        weights[:2] = 0.0
        self._weights = weights  # [vocab]
        self._cumulative = np.cumsum(weights)  # [vocab]
        self._available = int((weights > 0).sum())
        if self._available <= config.num_negatives:
            raise ConfigError(
                f"`sampled.num_negatives` is {config.num_negatives}, but only {self._available:,} items can be drawn.",
                remedy="Ask for fewer negatives than there are items, or rank in full.",
            )

    @property
    def label(self) -> str:
        """The protocol, as it stands beside every number."""
        history = ", history excluded" if self.config.exclude_history else ""
        return f"sampled, {self.config.num_negatives} {self.config.distribution} negatives{history}"

    def __call__(self, batch: Mapping[str, tf.Tensor], query: tf.Tensor, target: tf.Tensor) -> Indices:
        """Returns the negatives of every target.

        Args:
            batch: A batch of `sequence_dataset`.
            query: `query_index` of `target_positions`, int32 `[targets, 2]`.
            target: Item indices, int32 `[targets]`.

        Returns:
            Item indices, int32 `[targets, num_negatives]`.

        Raises:
            ConfigError: A history leaves too few items.
        """
        row, last = query.numpy().astype(np.int64).T  # [targets] each
        owner = id_keys(np.asarray(batch["user_id"]))[row]  # [targets]
        first_time = np.asarray(batch["timestamp"])[row, 0].astype(np.int64).view(np.uint64)  # [targets]
        keys = mixed(owner, self.config.seed, first_time, last)  # [targets]
        history = np.zeros((row.size, 0), np.int64)
        if self.config.exclude_history:
            items = np.asarray(batch["item"]).astype(np.int64)[row]  # [targets, seq]
            history = np.where(np.arange(items.shape[1]) <= last[:, np.newaxis], items, 0)
        return self.draw(keys, target.numpy().astype(np.int64), history)

    def draw(self, keys: Keys, target: NDArray[Any], history: NDArray[Any]) -> Indices:
        """As a call, from keys.

        Args:
            keys: uint64 `[targets]`.
            target: Item indices, `[targets]`.
            history: Items that must not be drawn, 0 where there is none, `[targets, any]`.

        Returns:
            Item indices, int32 `[targets, num_negatives]`.
        """
        number = self.config.num_negatives
        excluded = np.concatenate([target[:, np.newaxis], history], axis=1)  # [targets, 1 + any]
        negatives = np.zeros((keys.size, number), np.int64)  # [targets, negatives]
        rows = np.arange(keys.size)
        found = np.zeros(keys.size, np.int64)
        for draws in (number + number // 4 + 16, 8 * number + 64):
            part, found[rows] = self._first_distinct(keys[rows], excluded[rows], draws)
            negatives[rows] = part
            rows = rows[found[rows] < number]
            if not rows.size:
                break
        for row in rows:
            negatives[row, found[row] :] = self._complete(keys[row], excluded[row], negatives[row, : found[row]])
        return negatives.astype(np.int32)

    def _first_distinct(
        self, keys: Keys, excluded: NDArray[Any], draws: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first distinct items of a number of draws that are not excluded, and how many there are."""
        number = self.config.num_negatives
        uniform = uniforms(mixed(keys[:, np.newaxis], np.arange(draws)))  # [rows, draws]
        items = np.searchsorted(self._cumulative, uniform * self._cumulative[-1], side="right")  # [rows, draws]
        items = np.minimum(items, self._weights.size - 1)
        codes = items + np.arange(keys.size)[:, np.newaxis] * self._weights.size  # [rows, draws]; distinct over rows
        outside = excluded + np.arange(keys.size)[:, np.newaxis] * self._weights.size  # [rows, any]
        fresh = np.zeros(codes.size, bool)
        fresh[np.unique(codes.ravel(), return_index=True)[1]] = True
        fresh &= ~np.isin(codes.ravel(), outside.ravel())
        fresh = fresh.reshape(items.shape)  # [rows, draws]
        place = np.cumsum(fresh, axis=1) - 1  # [rows, draws]
        taken = fresh & (place < number)
        negatives = np.zeros((keys.size, number), np.int64)
        negatives[np.nonzero(taken)[0], place[taken]] = items[taken]
        return negatives, taken.sum(axis=1)

    def _complete(self, key: np.uint64, excluded: NDArray[Any], drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        """The items still missing, by an exponential race among all that are left: the same as drawing on and on."""
        weights = self._weights.copy()
        weights[excluded] = 0.0
        weights[drawn] = 0.0
        missing = self.config.num_negatives - drawn.size
        left = np.flatnonzero(weights)
        if left.size < missing:
            raise ConfigError(
                f"A history leaves {left.size + drawn.size:,} items, `sampled.num_negatives` is "
                f"{self.config.num_negatives}.",
                remedy="Ask for fewer negatives, set `sampled.exclude_history=false`, or rank in full.",
            )
        arrival = -np.log1p(-uniforms(mixed(np.array(key), 1 << 40, left))) / weights[left]  # [left]
        return left[np.argsort(arrival, kind="stable")[:missing]]
