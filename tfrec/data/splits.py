"""Assignment of events to train, valid and test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tfrec.data.conversion_options import ConversionOptions, SplitRule
from tfrec.data.event_checks import event_place
from tfrec.data.event_loader import LoadedEvents
from tfrec.data.source_files import SourceFile
from tfrec.data.sql import literal
from tfrec.data.work_database import WorkDatabase
from tfrec.errors import DataError

SPLITS = ("train", "valid", "test")
DAY_MS = 86_400_000

_NOTES = {
    "given": "files given per split",
    "session_time": "test sessions start in the last days; training sessions are cut at the boundary",
    "session_time_last": "test sessions end in the last days (legacy RSC15 rule)",
    "leave_one_out": "leaks across users in time",
    "global_time": "no training event is later than the boundary",
    "random_user": "whole users at random; leaks across users in time",
}


@dataclass
class SplitPlan:
    """How the events were split.

    Attributes:
        rule: The rule.
        history: Whether an example of valid or test also holds the earlier events of its sequence.
        boundaries: Milliseconds since the epoch, for the splits that begin at an instant.
        parameters: Options that the rule used.
        truncated: Events dropped because their training (or validation) sequence crosses a boundary.
    """

    rule: SplitRule
    history: bool
    boundaries: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, float | int | str | None] = field(default_factory=dict)
    truncated: int = 0

    @property
    def note(self) -> str:
        """What every report on this dataset says about the rule."""
        return _NOTES[self.rule]


def assign_folds(
    work: WorkDatabase, options: ConversionOptions, loaded: LoadedEvents, sources: list[SourceFile]
) -> SplitPlan:
    """Makes the table or view `folded` (pos, q, i, t, ms, fold) with fold 0 train, 1 valid, 2 test.

    Where a plan has history, the events of a fold come after all events of earlier folds in every sequence: the last
    `num_targets` events of an example are then those of its own fold. `leave_one_out` and `global_time` cut in the
    order of the events; for `given` it is checked. Sessions have no history: an id that recurs in the files of another
    split (numbering that starts again, say) is another session there.

    Args:
        work: The work database, with `filtered` and `keys`.
        options: Rule and its parameters.
        loaded: What was loaded.
        sources: Input files, with their splits for the rule `given`.

    Returns:
        The plan.

    Raises:
        ConfigError: An option was given that the rule does not use.
        DataError: The rule leaves no training event, or a user has events in the files of a split that precede events
            in those of an earlier one.
    """
    plan = fold_events(work, options, loaded, sources)
    if not work.scalar("SELECT count(*) FROM folded WHERE fold = 0"):
        raise DataError(
            f"The split rule `{plan.rule}` leaves no training event.",
            remedy="Make valid and test smaller (--test-days, --valid-days, --test-fraction, --valid-fraction).",
        )
    return plan


def fold_events(
    work: WorkDatabase,
    options: ConversionOptions,
    loaded: LoadedEvents,
    sources: list[SourceFile],
    boundaries: dict[str, int] | None = None,
) -> SplitPlan:
    """Makes `folded` as `assign_folds` does, also for a part of the sequences.

    Args:
        work: The work database, with `filtered` and `keys`.
        options: Rule and its parameters.
        loaded: What was loaded.
        sources: Input files, with their splits for the rule `given`.
        boundaries: Where the splits begin, for the rules that go by time; None = found in the events at hand.

    Returns:
        The plan.
    """
    rule = options.rule(sessions=loaded.roles.session is not None or options.session_gap is not None)
    ms = loaded.milliseconds
    if rule == "given":
        plan = _by_file(work, loaded, sources)
    elif rule in ("session_time", "session_time_last"):
        plan = _by_session(work, options, rule, ms, boundaries)
    elif rule == "leave_one_out":
        plan = SplitPlan(rule, True)
        window = "OVER (PARTITION BY q ORDER BY t DESC, pos DESC)"
        work.run(
            "CREATE TABLE folded AS SELECT pos, q, i, t, ms, "
            "CASE WHEN back = 1 THEN 2 WHEN back = 2 AND n > 2 THEN 1 ELSE 0 END AS fold FROM "
            f"(SELECT *, {ms} AS ms, row_number() {window} AS back, count(*) OVER (PARTITION BY q) AS n FROM filtered)"
        )
    elif rule == "global_time":
        plan = _by_time(work, options, ms, boundaries)
    else:
        plan = _by_user(work, options, loaded, ms)
    return plan


def session_boundaries(
    options: ConversionOptions, rule: SplitRule, latest: int, latest_before: Callable[[int], int | None]
) -> dict[str, int]:
    """Returns where test, and valid if asked for, begin under the session rules.

    Args:
        options: `test_days`, `valid_days` and `split_time` are used.
        rule: `session_time` or `session_time_last`.
        latest: Time of the last event, milliseconds.
        latest_before: Gives the last end of a session that ends before an instant.
    """
    end = options.split_time if options.split_time is not None else latest
    boundaries = {"test": end - round(_test_days(options) * DAY_MS)}
    if valid_days := options.valid_days or 0.0:
        start: int | None = boundaries["test"]
        if rule == "session_time_last":
            start = latest_before(boundaries["test"])
        boundaries["valid"] = boundaries["test"] if start is None else start - round(valid_days * DAY_MS)
    return boundaries


def time_boundaries(options: ConversionOptions, latest: int, time_of_last: Callable[[float], int]) -> dict[str, int]:
    """Returns where test and valid begin under the rule `global_time`.

    Args:
        options: Days or fractions.
        latest: Time of the last event, milliseconds.
        time_of_last: Gives the time of the first of the last so many events, by their share.
    """
    if options.test_days is not None:
        test = latest - round(options.test_days * DAY_MS)
        valid = test - round((options.valid_days or 0.0) * DAY_MS)
    else:
        valid_fraction, test_fraction = options.fractions
        test = time_of_last(test_fraction)
        valid = time_of_last(test_fraction + valid_fraction)
    return {"test": test, "valid": valid} if valid < test else {"test": test}


def _by_file(work: WorkDatabase, loaded: LoadedEvents, sources: list[SourceFile]) -> SplitPlan:
    plan = SplitPlan("given", history=loaded.roles.session is None)
    sizes = dict.fromkeys(SPLITS, 0)
    for count, source in zip(loaded.rows, sources, strict=True):
        sizes[source.split or "train"] += count
    valid, test = sizes["train"], sizes["train"] + sizes["valid"]
    fold = f"CASE WHEN pos < {valid} THEN 0 WHEN pos < {test} THEN 1 ELSE 2 END"
    work.run(f"CREATE VIEW folded AS SELECT *, {loaded.milliseconds} AS ms, {fold} AS fold FROM filtered")
    if plan.history:
        _check_order(work, loaded, sources)
    return plan


def _check_order(work: WorkDatabase, loaded: LoadedEvents, sources: list[SourceFile]) -> None:
    """Raises DataError for the first event that precedes an event of an earlier fold of its sequence."""
    for fold in (2, 1):
        # Positions ascend with the folds, so events of equal time are in order.
        late = f"SELECT q, max(t) AS latest FROM folded WHERE fold < {fold} GROUP BY q"
        early = f"FROM folded JOIN ({late}) USING (q) WHERE fold = {fold} AND t < latest"
        events, position = work.row(f"SELECT count(*), min(pos) {early}")
        if not events:
            continue
        q = work.scalar(f"SELECT q FROM folded WHERE pos = {position}")
        other = work.scalar(f"SELECT pos FROM folded WHERE q = {q} AND fold < {fold} ORDER BY t DESC, pos DESC LIMIT 1")
        column = loaded.roles.time
        source, row = event_place(sources, loaded.rows, position)
        other_source, other_row = event_place(sources, loaded.rows, other)
        user = source.value(work.connection, loaded.roles.user or "", row)
        time, other_time = (
            place.value(work.connection, column, at) for place, at in ((source, row), (other_source, other_row))
        )
        raise DataError(
            f"The {source.split} event of user `{user}` at `{time}` precedes the one of the {other_source.split} file "
            f"`{other_source.path}` at `{other_time}`, row {other_row} ({events:,} such {source.split} events in all).",
            file=source.path,
            column=column,
            row=row,
            remedy="Let each user's later files hold the later events, name sessions with --session-col, or pass all "
            "files with --input and choose a --split rule.",
        )


def _by_session(
    work: WorkDatabase, options: ConversionOptions, rule: SplitRule, ms: str, boundaries: dict[str, int] | None
) -> SplitPlan:
    plan = SplitPlan(rule, False)
    plan.parameters.update(test_days=_test_days(options), valid_days=options.valid_days or 0.0)
    work.run(
        f"CREATE TABLE spans AS SELECT q, min(ms) AS first, max(ms) AS last FROM (SELECT q, {ms} AS ms FROM filtered) "
        "GROUP BY q"
    )
    if boundaries is None:
        latest = work.scalar("SELECT max(last) FROM spans")
        boundaries = session_boundaries(
            options, rule, latest, lambda test: work.scalar(f"SELECT max(last) FROM spans WHERE last < {test}")
        )
    plan.boundaries.update(boundaries)
    when = "first" if rule == "session_time" else "last"
    test = plan.boundaries["test"]
    valid = plan.boundaries.get("valid", test)
    work.run(
        f"CREATE TABLE cut AS SELECT q, CASE WHEN {when} >= {test} THEN 2 WHEN {when} >= {valid} THEN 1 ELSE 0 END "
        "AS fold FROM spans"
    )
    relation = f"(SELECT pos, q, i, t, {ms} AS ms, fold FROM filtered JOIN cut USING (q))"
    if rule == "session_time":
        inside = f"ms < CASE fold WHEN 0 THEN {valid} WHEN 1 THEN {test} ELSE ms + 1 END"
        work.run(f"CREATE TABLE folded AS SELECT * FROM {relation} WHERE {inside}")
        left, all_events = work.row("SELECT (SELECT count(*) FROM folded), (SELECT count(*) FROM filtered)")
        plan.truncated = all_events - left
    else:
        work.run(f"CREATE TABLE folded AS SELECT * FROM {relation}")
    return plan


def _by_time(work: WorkDatabase, options: ConversionOptions, ms: str, boundaries: dict[str, int] | None) -> SplitPlan:
    plan = SplitPlan("global_time", True)
    if options.test_days is not None:
        plan.parameters.update(test_days=options.test_days, valid_days=options.valid_days or 0.0)
    else:
        valid_fraction, test_fraction = options.fractions
        plan.parameters.update(test_fraction=test_fraction, valid_fraction=valid_fraction)
    work.run(f"CREATE TABLE timed AS SELECT *, {ms} AS ms FROM filtered")
    if boundaries is None:
        latest = work.scalar("SELECT max(ms) FROM timed")
        boundaries = time_boundaries(options, latest, lambda fraction: _time_of_last(work, fraction))
    plan.boundaries.update(boundaries)
    test = plan.boundaries["test"]
    valid = plan.boundaries.get("valid", test)
    fold = f"CASE WHEN ms >= {test} THEN 2 WHEN ms >= {valid} THEN 1 ELSE 0 END"
    work.run(f"CREATE VIEW folded AS SELECT *, {fold} AS fold FROM timed")
    return plan


def _test_days(options: ConversionOptions) -> float:
    return 1.0 if options.test_days is None else options.test_days


def _time_of_last(work: WorkDatabase, fraction: float) -> int:
    """The time of the first of the last `fraction` of events; after the last event when that is none."""
    count = work.scalar("SELECT count(*) FROM timed")
    last = int(count * fraction + 1e-9)
    if last == 0:
        after: int = work.scalar("SELECT max(ms) + 1 FROM timed")
        return after
    share = (count - last + 1) / count
    # quantile_disc returns the value at position ceil(share * count), counted from 1.
    found: int = work.scalar(f"SELECT quantile_disc(ms, {share - 0.5 / count!r}) FROM timed")
    return found


def _by_user(work: WorkDatabase, options: ConversionOptions, loaded: LoadedEvents, ms: str) -> SplitPlan:
    plan = SplitPlan("random_user", False)
    valid_fraction, test_fraction = options.fractions
    plan.parameters.update(seed=options.seed, test_fraction=test_fraction, valid_fraction=valid_fraction)
    letter = "u" if "u" in loaded.id_types else "s"
    owners = f"SELECT q, {letter} AS o FROM keys"
    if loaded.id_types[letter] == "string":
        owners = f"SELECT q, id AS o FROM keys JOIN ids_{letter} ON code = {letter}"
    share = f"md5_number_upper({literal(f'{options.seed}:')} || CAST(o AS VARCHAR)) / 18446744073709551616.0"
    test, valid = test_fraction, test_fraction + valid_fraction
    work.run(
        f"CREATE TABLE cut AS SELECT q, CASE WHEN share < {test!r} THEN 2 WHEN share < {valid!r} THEN 1 ELSE 0 END "
        f"AS fold FROM (SELECT q, {share} AS share FROM ({owners}))"
    )
    work.run(f"CREATE TABLE folded AS SELECT pos, q, i, t, {ms} AS ms, fold FROM filtered JOIN cut USING (q)")
    return plan
