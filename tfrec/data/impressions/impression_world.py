"""A seeded impression log with the columns of the Toss click competition and known click probabilities."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.config.impression_world_config import ImpressionWorldConfig
from tfrec.data.impressions.expected_auc import expected_auc

_CHUNK = 4096
_GROUP_ROWS = 65_536
_INVENTORIES, _HOURS, _AGES = 18, 24, 8
_BLOCKS = {"l_feat": 27, "feat_e": 10, "feat_d": 6, "feat_c": 8, "feat_b": 6, "feat_a": 18}
_HISTORY = {"history_a": 7, "history_b": 30}

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NUMERIC_COLUMNS = [f"{block}_{number + 1}" for block, size in _BLOCKS.items() for number in range(size)]
HISTORY_COLUMNS = [f"{block}_{number + 1}" for block, size in _HISTORY.items() for number in range(size)]


class ImpressionWorld:
    """Draws rows of which the click probability is known.

    The logit of a click is a sum of effects of single columns, of products of hour, inventory and age group, and of
    how well the latest tokens of the sequence suit the inventory: every token belongs to a hidden group, every
    inventory likes or dislikes each group, and a token's weight falls with its distance from the end. A model that
    averages a sequence without regard to order, or that does not relate it to the inventory, misses the last part.

    Rows come day after day, as in the competition; 119 columns with `clicked`, without `ID`.

    Args:
        config: Size and effects.
    """

    def __init__(self, config: ImpressionWorldConfig) -> None:
        self.config = config
        rng = np.random.default_rng([config.seed, 7])
        ranks = np.arange(1, config.num_tokens + 1)
        popularity = 1.0 / (ranks + 2.0) ** 1.05
        self.token_shares: Floats = popularity / popularity.sum()
        self.tokens: Integers = rng.permutation(config.num_tokens) + 1
        self.groups: Integers = rng.integers(0, config.num_groups, config.num_tokens)
        taste = rng.normal(size=(_INVENTORIES, config.num_groups))
        self.taste: Floats = taste - taste @ self._group_shares()[:, None]  # no inventory is better off by taste alone
        self.inventory: Floats = rng.normal(size=_INVENTORIES)
        self.hour_inventory: Floats = rng.normal(size=(_HOURS, _INVENTORIES))
        self.age_inventory: Floats = rng.normal(size=(_AGES, _INVENTORIES))
        self.numeric: Floats = rng.normal(size=len(NUMERIC_COLUMNS)) * (rng.random(len(NUMERIC_COLUMNS)) < 0.15)
        self.shift: Floats = rng.normal(size=len(NUMERIC_COLUMNS)) * 3.0
        self.spread: Floats = np.exp(rng.normal(size=len(NUMERIC_COLUMNS)))
        self.intercept = 0.0
        self.intercept = self._calibrated()

    def chunks(self) -> Iterator[tuple[pa.RecordBatch, Floats]]:
        """Yields rows with their click probabilities, a few thousand at a time; the same rows every time."""
        rows = self.config.num_rows
        for number, start in enumerate(range(0, rows, _CHUNK)):
            size = min(_CHUNK, rows - start)
            day = (np.arange(start, start + size) * self.config.num_days) // rows
            yield self._draw(np.random.default_rng([self.config.seed, 8, number]), day)

    def write(self, path: str | os.PathLike[str]) -> float:
        """Writes the rows to a Parquet file by streaming.

        Returns:
            The AUC that the true probabilities are expected to have on these rows: no model can do better.
        """
        probabilities = []
        writer: pq.ParquetWriter | None = None
        pending: list[pa.RecordBatch] = []
        try:
            for batch, probability in self.chunks():
                probabilities.append(probability.astype(np.float32))
                writer = writer or pq.ParquetWriter(path, batch.schema, compression="zstd")
                pending.append(batch)
                if sum(part.num_rows for part in pending) >= _GROUP_ROWS:
                    writer.write_table(pa.Table.from_batches(pending))
                    pending = []
            if writer is not None and pending:
                writer.write_table(pa.Table.from_batches(pending))
        finally:
            if writer is not None:
                writer.close()
        return expected_auc(np.concatenate(probabilities))

    def _group_shares(self) -> Floats:
        return np.bincount(self.groups, self.token_shares, self.config.num_groups).astype(float)

    def _calibrated(self) -> float:
        """The intercept with which the mean probability of a sample of rows is the click rate."""
        day = np.zeros(_CHUNK, np.int64)
        _, probability = self._draw(np.random.default_rng([self.config.seed, 9]), day)
        logit = np.log(probability) - np.log1p(-probability)
        low, high = -20.0, 20.0
        for _ in range(60):
            middle = (low + high) / 2.0
            low, high = (middle, high) if _sigmoid(logit + middle).mean() < self.config.click_rate else (low, middle)
        return low

    def _draw(self, rng: np.random.Generator, day: Integers) -> tuple[pa.RecordBatch, Floats]:
        config, rows = self.config, len(day)
        gender = rng.integers(1, 3, rows)
        age = rng.integers(0, _AGES, rows)
        inventory = rng.choice(_INVENTORIES, rows, p=_shares(_INVENTORIES))
        hour = rng.choice(_HOURS, rows, p=_shares(_HOURS)[::-1])
        lengths = np.exp(np.log(config.median_length) + config.length_spread * rng.normal(size=rows))
        lengths = np.clip(lengths, 1, config.max_length).astype(np.int64)
        cumulative = np.cumsum(self.token_shares)
        drawn = np.minimum(np.searchsorted(cumulative, rng.random(int(lengths.sum()))), config.num_tokens - 1)
        ends = np.cumsum(lengths)
        age_of_token = np.repeat(ends, lengths) - 1 - np.arange(len(drawn))  # 0 for the last token
        weight = config.recency**age_of_token
        liking = self.taste[np.repeat(inventory, lengths), self.groups[drawn]] * weight
        sequence = np.add.reduceat(liking, ends - lengths) * np.sqrt(1.0 - config.recency**2)
        numbers = rng.normal(size=(rows, len(NUMERIC_COLUMNS)))
        main = self.inventory[inventory] + numbers @ self.numeric * 0.3 + (gender - 1.5)
        cross = self.hour_inventory[hour, inventory] + self.age_inventory[age, inventory]
        logit = self.intercept + config.main_effect * main + config.cross_effect * cross * 0.7
        probability = _sigmoid(logit + config.sequence_effect * sequence)
        clicked = (rng.random(rows) < probability).astype(np.int8)
        absent = rng.random(rows) < config.missing_rate
        values = np.round(self.shift + self.spread * numbers, 4)
        words = pa.array(self.tokens).cast(pa.string()).take(pa.array(drawn))
        offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
        columns: dict[str, pa.Array] = {
            "gender": pa.array(gender.astype(float), mask=absent),
            "age_group": pa.array(age.astype(float), mask=absent),
            "inventory_id": pa.array(inventory),
            "day_of_week": pa.array(day + 1).cast(pa.string()),
            "hour": pa.array([f"{value:02d}" for value in range(_HOURS)]).take(pa.array(hour)),
            "seq": pa.compute.binary_join(pa.ListArray.from_arrays(offsets, words), ","),
            **{name: pa.array(values[:, column]) for column, name in enumerate(NUMERIC_COLUMNS)},
            **{name: pa.array(np.round(rng.random(rows), 4)) for name in HISTORY_COLUMNS},
            "clicked": pa.array(clicked),
        }
        return pa.RecordBatch.from_pydict(columns), probability


def _shares(values: int) -> Floats:
    weights = 1.0 / np.arange(1, values + 1) ** 0.5
    return weights / weights.sum()


def _sigmoid(logits: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-logits))
