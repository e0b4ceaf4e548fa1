"""What `tfrec.convert` can be asked to do."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tfrec.data.remote_inputs import public_url
from tfrec.data.remote_paths import scheme_of
from tfrec.data.row_conditions import RowCondition, parse_condition
from tfrec.errors import ConfigError, did_you_mean

SplitRule = Literal["given", "session_time", "session_time_last", "leave_one_out", "global_time", "random_user"]
InputFormat = Literal["parquet", "csv", "tsv", "inter", "jsonl"]
TimeUnit = Literal["auto", "s", "ms", "us", "ns"]

DEFAULT_FRACTION = 0.1
_SPLIT_OPTIONS = ("test_days", "valid_days", "test_fraction", "valid_fraction", "split_time")
_ITEM_OPTIONS = (
    "items_id_col",
    "item_features",
    "item_list_separator",
    "item_title_col",
    "missing_items",
    "cold_items",
)
_USER_OPTIONS = ("users_id_col", "user_features", "cold_users")
_OPTIONS_OF_RULE: dict[SplitRule, tuple[str, ...]] = {
    "given": (),
    "session_time": ("test_days", "valid_days", "split_time"),
    "session_time_last": ("test_days", "valid_days"),
    "leave_one_out": (),
    "global_time": ("test_days", "valid_days", "test_fraction", "valid_fraction"),
    "random_user": ("test_fraction", "valid_fraction"),
}


class ConversionOptions(BaseModel):
    """Options of a conversion; the fields are the flags of `python -m tfrec.convert`.

    Attributes:
        output: Dataset directory to write, local.
        input: Files, globs, directories or URLs, when the split is made here.
        train: Files of the training split, when splits are given.
        valid: Files of the validation split.
        test: Files of the test split.
        format: Format of all inputs; None = by file name.
        user_col: Column of user ids. Without session column or gap, a user's events are one sequence.
        session_col: Column of session ids; a session is one sequence.
        item_col: Column of item ids.
        time_col: Column of event times.
        time_unit: Unit of numeric times; `auto` chooses by the largest value.
        session_gap: Seconds of inactivity after which a user's next event begins a new session (needs `user_col`).
        drop_consecutive_duplicates: Collapse runs of one item within a sequence to their first event.
        min_item_count: Drop items with fewer events.
        min_seq_len: Drop sequences with fewer events (at least 2).
        filter_mode: `fixpoint` repeats both filters until nothing changes; `single_pass` drops short sequences, rare
            items and short sequences again, once.
        split: Split rule; None = `given` with train files, `session_time` for sessions, else `global_time`.
        test_days: Days in test; None = 1 for the session rules (`global_time` then goes by fraction).
        valid_days: Days in valid; None = 0. With `global_time` it needs `test_days`.
        test_fraction: Share of events (`global_time` without days) or users (`random_user`) in test; None = 0.1.
        valid_fraction: Share of events or users in valid; None = 0.1.
        split_time: The instant from which `session_time` counts days backwards, in milliseconds since the epoch;
            None = the last event.
        unknown_items: What happens to valid and test events of items without training events: `drop` them, keep them as
            index 1 (`oov`), or give the items an index after those of training (`keep`).
        event_features: Columns of the log that become categories of events, see `event_features`.
        where: Conditions `COLUMN OPERATOR VALUE` that rows must satisfy to be read as events, see `row_conditions`.
        items: Files with one row per item: side features and titles.
        items_id_col: Column of item ids in them; None = as `item_col`, else `item_id`.
        item_features: Their columns to keep, `NAME` or `NAME:KIND`, see `item_columns`; None = all but id and title.
        item_list_separator: Between the values of a list feature in a text column; None = `|` (RecBole: a space).
        item_title_col: Column of titles, for people; None = `title` where there is one.
        missing_items: What happens when an item of the log has no row there: `error`, or `empty` features.
        cold_items: Items in them without training events: `drop`, or give them an index after training items (`keep`).
        users: Files with one row per user: side features; a user without a row has none. They need `user_col`.
        users_id_col: Column of user ids in them; None = as `user_col`, else `user_id`.
        user_features: Their columns to keep, as `item_features`.
        cold_users: Users in them without training events: `drop`, or give them an index after training users (`keep`).
        vocabulary: Dataset directory whose item vocabulary is continued: its items keep their indices.
        sequence_order: Order in which sequences are stored: of their first event, or of their raw ids.
        shards: Shards per split; None = one per 50,000 sequences, 1 to 64.
        compression: Compression of shards.
        seed: Seed of `random_user`.
        audit: Look for leakage between splits.
        overwrite: Replace an existing dataset.
        resume: Go on with a conversion that was interrupted.
        dry_run: Check everything, write nothing.
        memory_limit: Memory for sorting and joining, as duckdb writes it; more goes to disk.
        runner: Beam engine that converts Parquet beyond one machine; None = this process.
        beam_args: Flags of the engine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    output: str
    input: tuple[str, ...] = ()
    train: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    format: InputFormat | None = None
    user_col: str | None = None
    session_col: str | None = None
    item_col: str = "item_id"
    time_col: str = "timestamp"
    time_unit: TimeUnit = "auto"
    session_gap: float | None = Field(default=None, gt=0)
    drop_consecutive_duplicates: bool = False
    min_item_count: int = Field(default=1, ge=1)
    min_seq_len: int = Field(default=2, ge=2)
    filter_mode: Literal["fixpoint", "single_pass"] = "fixpoint"
    split: SplitRule | None = None
    test_days: float | None = Field(default=None, gt=0)
    valid_days: float | None = Field(default=None, ge=0)
    test_fraction: float | None = Field(default=None, ge=0, lt=1)
    valid_fraction: float | None = Field(default=None, ge=0, lt=1)
    split_time: int | None = None
    unknown_items: Literal["drop", "oov", "keep"] = "drop"
    event_features: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    items_id_col: str | None = None
    item_features: tuple[str, ...] | None = None
    item_list_separator: str | None = Field(default=None, min_length=1)
    item_title_col: str | None = None
    missing_items: Literal["error", "empty"] = "error"
    cold_items: Literal["drop", "keep"] = "drop"
    users: tuple[str, ...] = ()
    users_id_col: str | None = None
    user_features: tuple[str, ...] | None = None
    cold_users: Literal["drop", "keep"] = "drop"
    vocabulary: str | None = None
    sequence_order: Literal["time", "id"] = "time"
    shards: int | None = Field(default=None, ge=1, le=99_999)
    compression: Literal["none", "gzip"] = "none"
    seed: int = 0
    audit: bool = False
    overwrite: bool = False
    resume: bool = False
    dry_run: bool = False
    memory_limit: str = Field(default="2GB", pattern=r"^\d+(\.\d+)? ?([KMGT]i?B)$")
    runner: str | None = None
    beam_args: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> ConversionOptions:
        if self.beam_args and self.runner is None:
            raise ConfigError("`--beam-arg` has no effect without `--runner`.", remedy="Name the engine with --runner.")
        if scheme_of(self.output) and self.runner in (None, "DirectRunner"):
            raise ConfigError(
                f"`--output` must be a local directory, received `{public_url(self.output)}`.",
                remedy="Write it locally, then copy the directory; an incomplete copy is refused when it is opened.",
            )
        given = bool(self.train or self.valid or self.test)
        if given and self.input:
            raise ConfigError("`--input` and `--train`/`--valid`/`--test` exclude each other.", remedy="Give one kind.")
        if given and not self.train:
            raise ConfigError("`--valid` and `--test` need `--train`.", remedy="Name the training files with --train.")
        if given and self.split not in (None, "given"):
            raise ConfigError(
                f"`--split {self.split}` with `--train`: files given per split are not split again.",
                remedy="Drop --split, or pass the files with --input.",
            )
        if self.split == "given" and not given:
            raise ConfigError(
                "`--split given` needs `--train`.", remedy="Name the files with --train, --valid, --test."
            )
        for files, noun, names in ((self.items, "item", _ITEM_OPTIONS), (self.users, "user", _USER_OPTIONS)):
            for name in names if not files else ():
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ConfigError(
                        f"`{_flag(name)}` has no effect without `--{noun}s`.",
                        remedy=f"Name the {noun} file with --{noun}s.",
                    )
        if self.session_gap is not None and self.session_col is not None:
            raise ConfigError(
                "`--session-gap` makes sessions of users; there are sessions already in `--session-col`.",
                remedy="Drop one of the two.",
            )
        _ = self.conditions
        valid, test = self.fractions
        if test + valid >= 1:
            raise ConfigError(
                f"`--valid-fraction` {valid} and `--test-fraction` {test} leave no training data.",
                remedy="Their sum must be below 1.",
            )
        if self.split or given or self.session_col or self.user_col:
            self.rule(sessions=self.session_col is not None or self.session_gap is not None)
        return self

    @property
    def conditions(self) -> tuple[RowCondition, ...]:
        """The conditions of `where`."""
        return tuple(parse_condition(text) for text in self.where)

    @property
    def fractions(self) -> tuple[float, float]:
        """Shares of valid and test, for the rules that go by shares."""
        shares = (self.valid_fraction, self.test_fraction)
        valid, test = (DEFAULT_FRACTION if share is None else share for share in shares)
        return valid, test

    def rule(self, *, sessions: bool) -> SplitRule:
        """Returns the rule asked for, or the default one: `given`, `session_time` for sessions, else `global_time`.

        Args:
            sessions: Whether the sequences are sessions.

        Raises:
            ConfigError: An option was given that the rule does not use.
        """
        rule: SplitRule = "session_time" if sessions else "global_time"
        if self.split is not None:
            rule = self.split
        elif self.train:
            rule = "given"
        used = _OPTIONS_OF_RULE[rule]
        given = [name for name in _SPLIT_OPTIONS if getattr(self, name) is not None]
        for name in given:
            if name not in used:
                users = ", ".join(f"`{other}`" for other, names in _OPTIONS_OF_RULE.items() if name in names)
                raise ConfigError(
                    f"`{_flag(name)}` has no effect with the split rule `{rule}`.",
                    remedy=f"Drop it, or choose a --split rule that uses it: {users}.",
                )
        shares = [name for name in given if name.endswith("fraction")]
        if rule == "global_time" and shares and len(shares) < len(given):
            raise ConfigError(
                f"`{_flag(shares[0])}` and `{_flag(given[0])}` exclude each other with the split rule `global_time`.",
                remedy="Give days or fractions.",
            )
        if rule == "global_time" and given == ["valid_days"]:
            raise ConfigError(
                "`--valid-days` needs `--test-days` with the split rule `global_time`, which else goes by fractions.",
                remedy="Give --test-days as well.",
            )
        return rule

    def fingerprint(self) -> str:
        """sha256 over everything that decides the bytes of the dataset, given the input."""
        text = self.model_dump_json(
            exclude={"output", "overwrite", "resume", "dry_run", "memory_limit", "runner", "beam_args"}
        )
        return hashlib.sha256(text.encode()).hexdigest()


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def parse_options(**values: Any) -> ConversionOptions:
    """Returns the options made of flag values; what pydantic rejects becomes a ConfigError that names the flag.

    Raises:
        ConfigError: An unknown option, a value outside its domain, or options that exclude each other.
    """
    try:
        return ConversionOptions(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "options"
        if first["type"] == "extra_forbidden":
            raise ConfigError(
                f"Unknown option `{name}`.", remedy=did_you_mean(name, ConversionOptions.model_fields)
            ) from error
        raise ConfigError(f"`{_flag(name)}` is `{first['input']}`: {first['msg']}.", remedy="See --help.") from error
