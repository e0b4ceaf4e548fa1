"""Answers for the test users of the advertising challenge: ten candidates each, and the files of its search program."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import tensorflow as tf

from tfrec.data.competition.histories import read_histories
from tfrec.data.competition.preparation import CANDIDATES, DATASET, PREDICT, prepare_test
from tfrec.data.competition.vector_files import write_fbin, write_u64bin
from tfrec.data.dataset import InteractionDataset
from tfrec.data.vocabulary import FIRST_INDEX, Vocabulary
from tfrec.errors import ConfigError, DataError, TrainingError
from tfrec.evaluation.challenge_score import CUTOFF, challenge_score
from tfrec.files import atomic_write
from tfrec.models.history_batch import history_batch
from tfrec.models.sequence_recommender import FactorisedRecommender
from tfrec.training.model_store import load_run

_USERS_AT_ONCE = 512
_CANDIDATES_AT_ONCE = 1 << 17
RESULT = "result.jsonl"


class Answers(NamedTuple):
    """What the challenge asks for, and what should be known of it.

    Attributes:
        top10s: For every user the ids of at most ten creatives, best first.
        user_list: Raw ids of the users, in the same order.
        remarks: What was left out or could not be told, in words.
    """

    top10s: list[list[int]]
    user_list: list[str]
    remarks: list[str]


class Truth(NamedTuple):
    """Hidden events.

    Attributes:
        file: Where they come from.
        events: Raw ids of user and creative, line by line.
    """

    file: str
    events: list[tuple[str, int]]


def read_truth(file: str | Path) -> Truth:
    """Reads JSON lines of `user_id` and `creative_id`.

    Raises:
        DataError: The file is missing or empty, or a line is damaged; with file and row.
    """
    events = []
    for number, (user, creative) in enumerate(_records(Path(file), "user_id", "creative_id"), start=1):
        if not (isinstance(user, str) and type(creative) is int):
            raise DataError(
                "`user_id` must be a text and `creative_id` a whole number.",
                file=str(file),
                row=number,
                remedy="Correct or remove the line.",
            )
        events.append((user, creative))
    if not events:
        raise DataError("There is no user to score.", file=str(file), remedy="Check that the file is whole.")
    return Truth(str(file), events)


def answer_challenge(
    run: str | Path,
    prepared: str | Path,
    output: str | Path,
    *,
    test: str | Path | None = None,
    only_cold: bool = False,
    truth: Truth | None = None,
) -> Answers:
    """Writes `query.fbin`, `embedding.fbin`, `id.u64bin` and, last of all, `result.jsonl`.

    Candidates that the data know nothing of are left out; of several with the same creative the first counts. The items
    that the model reads of a user's history are not recommended where the run's `evaluation.exclude_history` says so.
    The search is exact. Models that are told the user know the profiles of test users that the data have; others give
    users without any known item the candidates with most training events, as they do when serving. A model that is told
    the time of the request is told that of a user's latest event, as the challenge names no other.

    Args:
        run: Run directory of a model whose scores are products of vectors.
        prepared: Directory of `prepare_competition`.
        output: Directory to write; older answers there are replaced.
        test: Files of the challenge with other test users and candidates than those that were prepared.
        only_cold: Recommend only creatives without training events, which compete for a place of their own: among all
            candidates those with events, which a model knows better, leave them none.
        truth: What the answers will be scored against: its users must be among those that are answered.

    Raises:
        ConfigError: The model has no vectors, or biases; or the answers would lie among the prepared data.
        DataError: There are no test users or candidates, or the truth is of others. Earlier answers stay as they are.
        TrainingError: The model gives vectors that are no numbers.
    """
    source, target = Path(prepared), Path(output)
    if target.resolve().is_relative_to(source.resolve()):
        raise ConfigError("The answers would lie among the prepared data.", remedy="Name another directory to write.")
    loaded = load_run(run)
    model, dataset = loaded.model, loaded.open_dataset(str(source / DATASET))
    if not isinstance(model, FactorisedRecommender):
        raise ConfigError(f"`{model.registered_name}` has no item vectors.", remedy="Use sasrec, hstu or two_tower.")
    vocabulary = dataset.item_vocabulary
    with tempfile.TemporaryDirectory() as scratch:
        if test is not None:
            prepare_test(test, source, Path(scratch))
        tables = source if test is None else Path(scratch)
        for name in (PREDICT, CANDIDATES):
            if not (tables / name).is_file():
                raise DataError(
                    f"`{name}` is missing.", file=str(test or prepared), remedy="Prepare data with test users."
                )
        candidates = _read_candidates(tables / CANDIDATES, vocabulary, only_cold=only_cold)
        histories = read_histories(tables / PREDICT, vocabulary)
    if not histories.users:
        raise DataError("There are no test users.", file=str(test or source / PREDICT))
    if truth is not None:
        _check_users(truth, set(histories.users), str(test or source / PREDICT))
    indices, remarks = candidates.indices, candidates.remarks
    vectors, bias = _item_vectors(model, indices)
    if bias.any():
        raise ConfigError("Items have biases, which files of vectors have no place for.", remedy="Train without.")
    target.mkdir(parents=True, exist_ok=True)
    (target / RESULT).unlink(missing_ok=True)  # there is none beside files that are not all of one run
    told = dataset.vocabulary("user").lookup(histories.users) if "user" in model.request_features else None
    if "request_time" in model.request_features:
        remarks.append("The model reads the time of the request: that of the latest event of each user was taken.")
    popular = np.argsort(-vocabulary.counts[indices], kind="stable")[:CUTOFF]
    encode = tf.function(model.encode_targets, autograph=False, reduce_retracing=True)
    queries: list[npt.NDArray[np.float32]] = []
    lists: list[npt.NDArray[np.int64]] = []
    strangers = 0
    for first in range(0, len(histories.users), _USERS_AT_ONCE):
        last = min(first + _USERS_AT_ONCE, len(histories.users))
        items, times, lengths = histories.padded(first, last, model.history_window)
        users = None if told is None else tf.constant(told[first:last])
        batch, cold = history_batch(
            *(tf.constant(part, tf.int32) for part in (items, lengths)),
            window=model.history_window,
            timestamps=tf.constant(times),
            users=users,
        )
        queries.append(_finite(encode(batch).numpy(), "states of users"))
        seen = items if loaded.config.evaluation.exclude_history else np.zeros((last - first, 0), np.int32)
        found = best_candidates(queries[-1], vectors, indices, seen)
        for row, place in enumerate(found):
            unknown = told is None and bool(cold[row])
            strangers += unknown
            lists.append(popular if unknown else place[place >= 0])
    if strangers:
        remarks.append(f"{strangers:,} users have no item that the data know: they get the most frequent candidates.")
    write_fbin(target / "query.fbin", np.concatenate(queries))
    write_fbin(target / "embedding.fbin", vectors)
    write_u64bin(target / "id.u64bin", candidates.retrieval)
    top = [candidates.creatives[row].tolist() for row in lists]
    with atomic_write(target / RESULT) as file:
        for user, listed in zip(histories.users, top, strict=True):
            file.write(json.dumps({"user_id": user, "top10": listed}) + "\n")
    return Answers(top, histories.users, remarks)


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
        indices: Item index of every candidate, `[candidates]`, each once.
        seen: Item indices that are left out of each list, `[queries, any]`; 0 for none.
        k: Length of the lists; fewer where there are fewer candidates.

    Returns:
        int64 `[queries, at most k]`; of equal scores the earlier candidate comes first. Where too few are not left out,
        the row ends with -1.
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
    chosen = np.take_along_axis(places, order, 1)
    return np.where(np.take_along_axis(left_out, order, 1), -1, chosen)


def score_answers(output: str | Path, truth: Truth, prepared: str | Path) -> dict[str, float]:
    """Returns `challenge_score` of `result.jsonl`, and of the hidden items without training events as `cold_...`.

    Args:
        output: Directory of `answer_challenge`.
        truth: What was hidden.
        prepared: Directory of `prepare_competition`.

    Raises:
        DataError: The answers are missing or damaged, or a user of the truth has no list; with file and row.
    """
    vocabulary = InteractionDataset.open(str(Path(prepared) / DATASET)).item_vocabulary
    warm = set(vocabulary.ids[vocabulary.counts[FIRST_INDEX:] > 0].tolist())
    lists = dict(_records(Path(output) / RESULT, "user_id", "top10"))
    places, cold = [], []
    _check_users(truth, lists, str(Path(output) / RESULT))
    for user, creative in truth.events:
        row = lists[user]
        places.append(row.index(creative) if creative in row else -1)
        cold.append(creative not in warm)
    found, chosen = np.array(places, np.int64), np.array(cold, np.bool_)
    scores = challenge_score(found) | {"cold_users": float(chosen.sum())}
    if chosen.any():
        scores |= {f"cold_{name}": value for name, value in challenge_score(found[chosen]).items()}
    return scores


def _check_users(truth: Truth, users: Container[str], place: str) -> None:
    """Raises DataError for a user of the truth who is not among others."""
    for number, (user, _) in enumerate(truth.events, start=1):
        if user not in users:
            raise DataError(
                f"The user `{user}` is not in `{place}`.",
                file=truth.file,
                row=number,
                remedy="Name the truth of the test users that are answered.",
            )


class _Candidates(NamedTuple):
    """What may be recommended: raw ids, ids of the search program, item indices, all `[candidates]`; and remarks."""

    creatives: npt.NDArray[np.int64]
    retrieval: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    remarks: list[str]


def _read_candidates(path: Path, vocabulary: Vocabulary, *, only_cold: bool) -> _Candidates:
    table = pq.read_table(path)
    creatives, retrieval = table["item_id"].to_numpy(), table["retrieval_id"].to_numpy()
    indices = vocabulary.lookup(creatives)
    known = indices >= FIRST_INDEX
    once = np.zeros(len(indices), np.bool_)
    once[np.unique(indices, return_index=True)[1]] = True
    kept, remarks = known & once, []
    if not kept.any():
        raise DataError("None of the candidates is an item of the data.", file=str(path))
    if not known.all():
        remarks.append(f"{int((~known).sum()):,} candidates are left out: the data know nothing of them.")
    if repeated := int((known & ~once).sum()):
        remarks.append(f"{repeated:,} candidates are of a creative that is listed before: the first one counts.")
    if only_cold:
        kept &= vocabulary.counts[indices] == 0
        if not kept.any():
            raise DataError("Every candidate has training events.", file=str(path), remedy="Leave --only-cold out.")
        remarks.append(f"{int(kept.sum()):,} candidates without training events compete among themselves.")
    return _Candidates(creatives[kept], retrieval[kept], indices[kept], remarks)


def _records(path: Path, *names: str) -> Iterator[tuple[Any, ...]]:
    """Reads some values of every line of a file of JSON objects."""
    if not path.is_file():
        raise DataError("The file does not exist.", file=str(path), remedy="Check the path.")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)  # which raises a ValueError for what is not UTF-8
                yield tuple(record[name] for name in names)
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"Not a JSON object with {' and '.join(f'`{name}`' for name in names)}.",
                    file=str(path),
                    row=number,
                    remedy="Correct or remove the line.",
                ) from error


def _item_vectors(
    model: FactorisedRecommender, indices: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    parts = [
        model.lookup_items(tf.constant(indices[start : start + _CANDIDATES_AT_ONCE], tf.int32))
        for start in range(0, len(indices), _CANDIDATES_AT_ONCE)
    ]
    vectors, biases = zip(*((part.numpy(), bias.numpy()) for part, bias in parts), strict=True)
    return _finite(np.concatenate(vectors), "vectors of candidates"), np.concatenate(biases)


def _finite(values: npt.NDArray[np.float32], what: str) -> npt.NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise TrainingError(f"The {what} hold NaN or infinity.", remedy="Train again with a smaller learning rate.")
    return values
