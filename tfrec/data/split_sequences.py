"""The sequences and vocabularies of every split, as tables of the work database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrec.data.catalogue import build_catalogue, extend_user_vocabulary
from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.event_features import EventFeature, event_feature_sql
from tfrec.data.event_loader import LoadedEvents
from tfrec.data.splits import SPLITS, SplitPlan
from tfrec.data.sql import identifier
from tfrec.data.vocabulary import FIRST_INDEX, OOV_INDEX, Vocabulary
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError


def build_sequences(
    work: WorkDatabase,
    loaded: LoadedEvents,
    plan: SplitPlan,
    options: ConversionOptions,
    earlier: Vocabulary | None = None,
) -> dict[str, Any]:
    """Makes one table `sequences_<split>` per split, `vocabulary_i`, `vocabulary_u` and `catalogue_i`.

    A split has one example per sequence with at least one event of its fold, at least two events and at least one
    target; `plan.history` says whether earlier folds belong to it. Columns: `rank` (from 0, by time of the first event,
    then raw id, or by raw id), `q`, `n` (events), `own` (events of the fold), `k` (targets), `first`, `last`
    (milliseconds). Vocabularies (`code`, `index`, `count`) count the events of the training examples; ties go by the
    id as text, bytes descending, as TensorFlow Transform does it. Item indices are those of the catalogue: the
    vocabulary, and what else has an index (see `build_catalogue`).

    Args:
        work: The work database, with `folded` and `keys`.
        loaded: What was loaded.
        plan: How it was split.
        options: What happens to unknown items, and the order of the sequences.
        earlier: Item vocabulary to continue.

    Returns:
        Facts: per split the statistics of `SplitRecord` under its name, and the number of events and sequences dropped.

    Raises:
        DataError: No training sequence has two events.
    """
    facts: dict[str, Any] = {}
    for fold, split in enumerate(SPLITS):
        make_split_sequences(work, loaded, plan, options, fold)
        if split == "train":
            if not work.scalar("SELECT count(*) FROM sequences_train"):
                raise no_training_sequence()
            build_vocabularies(work, loaded, training_counts(loaded))
            build_catalogue(work, loaded, options, earlier)
            if options.users and options.cold_users == "keep":
                extend_user_vocabulary(work, loaded)
        facts[split] = split_statistics(work, split, fold)
    return facts


def make_split_sequences(
    work: WorkDatabase, loaded: LoadedEvents, plan: SplitPlan, options: ConversionOptions, fold: int
) -> None:
    """Makes the table `sequences_<split>` of one split, see `build_sequences`.

    Args:
        work: The work database, with `folded` and `keys`; for valid and test also `catalogue_i`.
        loaded: What was loaded.
        plan: How it was split.
        options: What happens to unknown items, and the order of the sequences.
        fold: Number of the split.
    """
    events = f"SELECT q, ms, fold FROM ({split_events(plan, fold, options.unknown_items)})"
    ids = [f"keys.{letter}" for letter in ("u", "s") if letter in loaded.id_types]
    order = ", ".join([*(["first"] if options.sequence_order == "time" else []), *ids, "first", "q"])
    work.run(
        f"CREATE TABLE sequences_{SPLITS[fold]} AS SELECT CAST(row_number() OVER (ORDER BY {order}) - 1 AS BIGINT) "
        "AS rank, q, n, own, least(own, n - 1) AS k, first, last FROM (SELECT q, count(*) AS n, "
        f"count(*) FILTER (fold = {fold}) AS own, min(ms) AS first, max(ms) AS last FROM ({events}) "
        "GROUP BY q HAVING n >= 2 AND own >= 1) JOIN keys USING (q)"
    )


def no_training_sequence() -> DataError:
    """Returns the error for a training split without sequences."""
    return DataError(
        "No training sequence has two events.",
        remedy="Check the user or session column and the split, or give more data.",
    )


def split_events(plan: SplitPlan, fold: int, unknown_items: str) -> str:
    """Returns SQL for the events (q, i, t, pos, ms, fold) that examples of a split may hold."""
    columns = "q, i, t, pos, ms, fold"
    if plan.history and fold:
        own = f"SEMI JOIN (SELECT q FROM folded WHERE fold = {fold}) AS own USING (q) WHERE fold <= {fold}"
    else:
        own = f"WHERE fold = {fold}"
    known = "SEMI JOIN catalogue_i AS known ON known.code = i" if fold and unknown_items == "drop" else ""
    return f"SELECT {columns} FROM (SELECT {columns} FROM folded {own}) {known}"


def example_events(
    plan: SplitPlan, fold: int, unknown_items: str, first_rank: int, features: Sequence[EventFeature] = ()
) -> str:
    """Returns SQL for `item`, `timestamp` and features of every event of a split, in the order of the examples."""
    columns, joins = event_feature_sql(features)
    chosen = ", ".join(["item", "timestamp", *(identifier(feature.name) for feature in features)])
    join = "JOIN" if fold == 0 or unknown_items == "drop" else "LEFT JOIN"
    own = f"fold <= {fold}" if plan.history else f"fold = {fold}"
    return (
        f"SELECT {chosen} FROM (SELECT CAST(coalesce(v.index, {OOV_INDEX}) AS BIGINT) AS item, ms AS timestamp, "
        f"CAST(rank AS INTEGER) AS rank, t, pos{columns} FROM folded JOIN sequences_{SPLITS[fold]} AS s "
        f"USING (q) {join} catalogue_i AS v ON v.code = i{joins} WHERE {own} AND rank >= {first_rank}) "
        "ORDER BY rank, t, pos"
    )


def example_contexts(loaded: LoadedEvents, split: str, first_rank: int) -> str:
    """Returns SQL for `user_id`, `user` (with a user column), `length` and `num_targets` of every example, in order."""
    letter = "u" if loaded.roles.user else "s"
    raw, joins = f"keys.{letter}", ""
    if loaded.id_types[letter] == "string":
        raw, joins = "ids.id", f"JOIN ids_{letter} AS ids ON ids.code = keys.{letter}"
    user = ""
    if loaded.roles.user:
        user = f"CAST(coalesce(v.index, {OOV_INDEX}) AS BIGINT) AS user, "
        joins += " LEFT JOIN vocabulary_u AS v ON v.code = keys.u"
    return (
        f"SELECT {raw} AS user_id, {user}n AS length, k AS num_targets FROM sequences_{split} AS s JOIN keys USING (q) "
        f"{joins} WHERE rank >= {first_rank} ORDER BY rank"
    )


def read_vocabulary(work: WorkDatabase, letter: str) -> Vocabulary:
    """Returns the vocabulary of items (`i`) or users (`u`) from its table."""
    name = "catalogue_i" if letter == "i" else f"vocabulary_{letter}"
    table = work.connection.execute(f"SELECT id, count FROM {name} ORDER BY index").to_arrow_table().combine_chunks()
    ids = table["id"].chunk(0)
    return Vocabulary(ids, table["count"].to_numpy())


def training_counts(loaded: LoadedEvents) -> dict[str, str]:
    """Returns SQL per vocabulary (letter i or u) for `code` and `count`: the events of the training examples."""
    trained = "folded SEMI JOIN sequences_train USING (q) WHERE fold = 0"
    counted = {"i": f"SELECT i AS code, count(*) AS count FROM {trained} GROUP BY i"}
    if loaded.roles.user:
        counted["u"] = "SELECT u AS code, sum(n)::BIGINT AS count FROM sequences_train JOIN keys USING (q) GROUP BY u"
    return counted


def build_vocabularies(work: WorkDatabase, loaded: LoadedEvents, counted: dict[str, str]) -> None:
    """Makes `vocabulary_i` and, with a user column, `vocabulary_u` (code, id, count, index).

    Args:
        work: The work database, with the tables of string ids.
        loaded: What was loaded.
        counted: From `training_counts`.
    """
    for letter, sql in counted.items():
        string = loaded.id_types[letter] == "string"
        named = f"JOIN ids_{letter} USING (code)" if string else ""
        source = f"SELECT code, {'id' if string else 'code AS id'}, count FROM ({sql}) {named}"
        work.run(
            f"CREATE TABLE vocabulary_{letter} AS SELECT code, id, count, CAST(row_number() OVER "
            f"(ORDER BY count DESC, CAST(id AS VARCHAR) DESC) + {FIRST_INDEX - 1} AS INTEGER) AS index FROM ({source})"
        )


def split_statistics(work: WorkDatabase, split: str, fold: int) -> dict[str, Any]:
    """Returns the statistics of `SplitRecord` and the events of the fold, from the tables of a split."""
    names = "sequences, events, targets, first_time, last_time, min_length, mean_length, median_length, max_length"
    values = work.row(
        "SELECT count(*), coalesce(sum(n), 0)::BIGINT, coalesce(sum(k), 0)::BIGINT, min(first), max(last), "
        f"min(n), avg(n), median(n), max(n) FROM sequences_{split}"
    )
    facts = dict(zip(names.split(", "), values, strict=True))
    own = f"SELECT q, i FROM folded WHERE fold = {fold}"
    unknown = f"SELECT count(*) FROM ({own}) ANTI JOIN catalogue_i AS v ON v.code = i"
    facts["unknown_item_events"] = work.scalar(unknown) if fold else 0
    facts["fold_events"] = work.scalar(f"SELECT count(*) FROM ({own})")
    facts["own_events"] = work.scalar(f"SELECT coalesce(sum(own), 0)::BIGINT FROM sequences_{split}")
    return facts
