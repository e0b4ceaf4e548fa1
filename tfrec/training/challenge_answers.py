"""Answers for the test users of the advertising challenge: ten candidates each, and the files of its search program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import tensorflow as tf

from tfrec.data.competition.preparation import CANDIDATES, DATASET, PREDICT, prepare_test
from tfrec.data.competition.vector_files import write_fbin, write_u64bin
from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import FIRST_INDEX, PADDING_INDEX, Vocabulary
from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.challenge_score import CUTOFF, challenge_score
from tfrec.files import atomic_write
from tfrec.models.history_batch import history_batch
from tfrec.models.sequence_recommender import FactorisedRecommender
from tfrec.training.model_store import load_run

_USERS_AT_ONCE = 512
_CANDIDATES_AT_ONCE = 1 << 17
RESULT = "result.jsonl"


class Histories(NamedTuple):
    """Histories of the test users: item indices and times in one row after another.

    Attributes:
        users: Raw ids, in the order of the file.
        items: int32 `[events]`; 1 where an item is unknown.
        times: Milliseconds, int64 `[events]`.
        offsets: int64 `[users + 1]`.
    """

    users: list[str]
    items: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]

    def padded(self, first: int, last: int, window: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns the latest events of some users: items and times `[users, n]` and lengths `[users]`."""
        ends = self.offsets[first + 1 : last + 1]
        lengths = np.minimum(ends - self.offsets[first:last], window)
        width = max(int(lengths.max(initial=1)), 1)
        column = (ends - lengths)[:, np.newaxis] + np.arange(width)
        inside = np.arange(width) < lengths[:, np.newaxis]
        place = np.where(inside, column, 0)
        items = np.where(inside, self.items[place], PADDING_INDEX)
        times = np.where(inside, self.times[place], 0)
        return tf.constant(items, tf.int32), tf.constant(times, tf.int64), tf.constant(lengths, tf.int32)


def answer_challenge(
    run: str | Path, prepared: str | Path, output: str | Path, *, test: str | Path | None = None
) -> tuple[list[list[int]], list[str]]:
    """Writes `query.fbin`, `embedding.fbin`, `id.u64bin` and `result.jsonl`; returns the lists and their users.

    Candidates that the data know nothing of are left out. The items that the model reads of a user's history are not
    recommended where the run's `evaluation.exclude_history` says so. The search is exact. Models that are told the user
    know the profiles of test users that the data have.

    Args:
        run: Run directory of a model whose scores are products of vectors.
        prepared: Directory of `prepare_competition`.
        output: Directory to write.
        test: Files of the challenge with other test users and candidates than those that were prepared.

    Returns:
        For every user ten creative ids, best first, and raw user ids, in the same order.

    Raises:
        ConfigError: The model has no vectors, or biases.
        DataError: There are no test users or candidates.
    """
    source, target = Path(prepared), Path(output)
    target.mkdir(parents=True, exist_ok=True)
    if test is not None:
        prepare_test(test, source, target)
        source = target
    for name in (PREDICT, CANDIDATES):
        if not (source / name).is_file():
            raise DataError(f"`{name}` is missing.", file=str(prepared), remedy="Prepare data with test users.")
    loaded = load_run(run)
    model, dataset = loaded.model, loaded.open_dataset(str(Path(prepared) / DATASET))
    if not isinstance(model, FactorisedRecommender):
        raise ConfigError(f"`{model.registered_name}` has no item vectors.", remedy="Use sasrec, hstu or two_tower.")
    vocabulary = dataset.item_vocabulary
    table = pq.read_table(source / CANDIDATES)
    creatives, retrieval = table["item_id"].to_numpy(), table["retrieval_id"].to_numpy()
    indices = vocabulary.lookup(creatives)
    known = indices >= FIRST_INDEX
    creatives, retrieval, indices = creatives[known], retrieval[known], indices[known]
    if not len(indices):
        raise DataError("None of the candidates is an item of the data.", file=str(source / CANDIDATES))
    vectors, bias = _item_vectors(model, indices)
    if bias.any():
        raise ConfigError("Items have biases, which files of vectors have no place for.", remedy="Train without.")
    histories = read_histories(source / PREDICT, vocabulary)
    if not histories.users:
        raise DataError("There are no test users.", file=str(source / PREDICT))
    told = dataset.vocabulary("user").lookup(histories.users) if "user" in model.request_features else None
    window = model.history_window
    encode = tf.function(model.encode_targets, autograph=False, reduce_retracing=True)
    queries, lists = [], []
    for first in range(0, len(histories.users), _USERS_AT_ONCE):
        last = min(first + _USERS_AT_ONCE, len(histories.users))
        items, times, lengths = histories.padded(first, last, window)
        users = None if told is None else tf.constant(told[first:last])
        batch, _ = history_batch(items, lengths, window=window, timestamps=times, users=users)
        queries.append(encode(batch).numpy())
        seen = items.numpy() if loaded.config.evaluation.exclude_history else np.zeros((last - first, 0), np.int32)
        lists.append(best_candidates(queries[-1], vectors, indices, seen))
    write_fbin(target / "query.fbin", np.concatenate(queries))
    write_fbin(target / "embedding.fbin", vectors)
    write_u64bin(target / "id.u64bin", retrieval)
    top = [creatives[row].tolist() for part in lists for row in part]
    with atomic_write(target / RESULT) as file:
        for user, row in zip(histories.users, top, strict=True):
            file.write(json.dumps({"user_id": user, "top10": row}) + "\n")
    return top, histories.users


def best_candidates(
    queries: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    indices: npt.NDArray[Any],
    seen: npt.NDArray[np.int32],
    k: int = CUTOFF,
) -> npt.NDArray[np.int64]:
    """Returns the places of the k best candidates of every query, exactly, some candidates at a time.

    Args:
        queries: float32 `[queries, dim]`.
        vectors: float32 `[candidates, dim]`.
        indices: Item index of every candidate, `[candidates]`.
        seen: Item indices that are left out of each list, `[queries, any]`; 0 for none.
        k: Length of the lists; fewer where there are fewer candidates.

    Returns:
        int64 `[queries, at most k]`; of equal scores the earlier candidate comes first.
    """
    wanted = k + seen.shape[1]  # so many may be left out
    scores = np.zeros((len(queries), 0), np.float32)
    places = np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(vectors), _CANDIDATES_AT_ONCE):
        piece = tf.constant(vectors[start : start + _CANDIDATES_AT_ONCE])
        found = tf.math.top_k(tf.matmul(tf.constant(queries), piece, transpose_b=True), min(wanted, len(piece)))
        scores = np.concatenate([scores, found.values.numpy()], axis=1)
        places = np.concatenate([places, found.indices.numpy() + start], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :wanted]
        scores, places = np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1)
    left_out = (indices[places][:, :, np.newaxis] == seen[:, np.newaxis, :]).any(axis=2)  # [queries, wanted]
    order = np.argsort(left_out, axis=1, kind="stable")[:, : min(k, len(vectors))]
    return np.take_along_axis(places, order, 1)


def read_histories(path: Path, vocabulary: Vocabulary) -> Histories:
    """Reads the events of the test users, which stand together user by user."""
    table = pq.read_table(path)
    codes = table["user_id"].combine_chunks().dictionary_encode()
    codes = codes.combine_chunks() if hasattr(codes, "combine_chunks") else codes
    number = codes.indices.to_numpy()
    users = [str(user) for user in codes.dictionary.to_pylist()]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=len(users)))]).astype(np.int64)
    ids = table["item_id"].fill_null(-1).to_numpy()  # no item has a negative id
    return Histories(users, vocabulary.lookup(ids), table["timestamp"].to_numpy() * 1000, offsets)


def score_answers(output: str | Path, truth: str | Path, prepared: str | Path) -> dict[str, float]:
    """Returns `challenge_score` of `result.jsonl`, and of the hidden items without training events as `cold_...`.

    Args:
        output: Directory of `answer_challenge`.
        truth: JSON lines of `user_id` and `creative_id`.
        prepared: Directory of `prepare_competition`.

    Raises:
        DataError: A user of the truth has no list.
    """
    vocabulary = InteractionDataset.open(str(Path(prepared) / DATASET)).item_vocabulary
    warm = set(vocabulary.ids[vocabulary.counts[FIRST_INDEX:] > 0].tolist())
    with (Path(output) / RESULT).open(encoding="utf-8") as file:
        lists = {record["user_id"]: record["top10"] for record in map(json.loads, file)}
    places, cold = [], []
    with Path(truth).open(encoding="utf-8") as file:
        for record in map(json.loads, file):
            if record["user_id"] not in lists:
                raise DataError(f"The user `{record['user_id']}` has no list.", file=str(output))
            row = lists[record["user_id"]]
            places.append(row.index(record["creative_id"]) if record["creative_id"] in row else -1)
            cold.append(record["creative_id"] not in warm)
    found, chosen = np.array(places, np.int64), np.array(cold, np.bool_)
    scores = challenge_score(found) | {"cold_users": float(chosen.sum())}
    if chosen.any():
        scores |= {f"cold_{name}": value for name, value in challenge_score(found[chosen]).items()}
    return scores


def _item_vectors(
    model: FactorisedRecommender, indices: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    parts = [
        model.lookup_items(tf.constant(indices[start : start + _CANDIDATES_AT_ONCE], tf.int32))
        for start in range(0, len(indices), _CANDIDATES_AT_ONCE)
    ]
    vectors, biases = zip(*((part.numpy(), bias.numpy()) for part, bias in parts), strict=True)
    return np.concatenate(vectors), np.concatenate(biases)
