"""`python -m tfrec.convert`: interaction logs in Parquet, CSV, TSV, RecBole or JSON lines to a dataset directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfrec.command import DebugFlag, DryRunFlag, JsonFlag, console, print_json, run_command, written_options
from tfrec.errors import ConfigError

_FILES = "Files, globs, directories or URLs (s3://, gs://, az://, https:// ...); repeat for more."


def main(
    context: typer.Context,
    output: Annotated[str, typer.Option(help="Dataset directory to write.", show_default=False)],
    input: Annotated[list[str] | None, typer.Option(help=f"{_FILES} Split here by --split.")] = None,
    train: Annotated[list[str] | None, typer.Option(help="Training files, when the split is given.")] = None,
    valid: Annotated[list[str] | None, typer.Option(help="Validation files.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Test files.")] = None,
    impressions: Annotated[
        Path | None,
        typer.Option(
            help="YAML file that says which columns of a log of impressions are the label, categories, numbers and "
            "lists: makes a dataset for click models instead of sequences. --split is random, tail, time, day or given."
        ),
    ] = None,
    day_col: Annotated[str | None, typer.Option(help="Impressions: column of days for --split day.")] = None,
    sample: Annotated[int | None, typer.Option(help="Impressions: only so many rows, drawn from all.")] = None,
    stratify: Annotated[
        str | None, typer.Option(help="Impressions: column (for example the label) whose shares --sample keeps.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="parquet, csv, tsv, inter (RecBole) or jsonl. Default: by file name.")
    ] = None,
    user_col: Annotated[str | None, typer.Option(help="Column of user ids (int64 or string).")] = None,
    session_col: Annotated[
        str | None, typer.Option(help="Column of session ids. Default of the two: session_id, else user_id.")
    ] = None,
    item_col: Annotated[str, typer.Option(help="Column of item ids (int64 or string).")] = "item_id",
    time_col: Annotated[str, typer.Option(help="Column of event times: number, datetime or ISO text.")] = "timestamp",
    time_unit: Annotated[str, typer.Option(help="Unit of numeric times: auto, s, ms, us or ns.")] = "auto",
    session_gap: Annotated[
        float | None, typer.Option(help="Begin a new session after SECONDS without an event of the user.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Read only rows with COLUMN OPERATOR VALUE: 'rating>=4', 'event=view'; repeat for and."),
    ] = None,
    event_features: Annotated[
        str | None, typer.Option(help="Columns of the log that become categories of events, separated by commas.")
    ] = None,
    drop_consecutive_duplicates: Annotated[
        bool, typer.Option("--drop-consecutive-duplicates", help="Collapse i,i,j to i,j within a sequence.")
    ] = False,
    min_item_count: Annotated[int, typer.Option(help="Drop items with fewer events.")] = 1,
    min_seq_len: Annotated[int, typer.Option(help="Drop sequences with fewer events (at least 2).")] = 2,
    filter_mode: Annotated[
        str, typer.Option(help="fixpoint: repeat both filters until nothing changes; single_pass: once.")
    ] = "fixpoint",
    split: Annotated[
        str | None,
        typer.Option(
            help="given, session_time, session_time_last, leave_one_out (leaks across users in time), global_time or "
            "random_user. Default: given with --train, session_time for sessions, else global_time. Impressions: "
            "given, random, tail (last rows), time (by --time-col) or day. Default: given with --train, day with "
            "--day-col, else random."
        ),
    ] = None,
    test_days: Annotated[
        float | None, typer.Option(help="Days in test: session rules and day (default 1), global_time.")
    ] = None,
    valid_days: Annotated[
        float | None, typer.Option(help="Days in valid before test. Default 0: none; 1 with --split day.")
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share in test: global_time without days (events), random_user (users), random, tail and time (rows). "
            "Default 0.1."
        ),
    ] = None,
    valid_fraction: Annotated[float | None, typer.Option(help="Share in valid: the same rules. Default 0.1.")] = None,
    split_time: Annotated[
        int | None,
        typer.Option(help="session_time: count days back from this time (ms since 1970), not from the last event."),
    ] = None,
    unknown_items: Annotated[
        str,
        typer.Option(
            help="Valid/test events of items without training events: drop them, keep them as misses of index 1 (oov), "
            "or give these items an index after those of training (keep)."
        ),
    ] = "drop",
    items: Annotated[
        list[str] | None,
        typer.Option(help="Files with one row per item (formats as --input, RecBole .item): features and titles."),
    ] = None,
    items_id_col: Annotated[
        str | None, typer.Option(help="Column of item ids there. Default: as --item-col, else item_id.")
    ] = None,
    item_features: Annotated[
        str | None,
        typer.Option(
            help="Feature columns, NAME or NAME:KIND separated by commas; KIND is category, list or number. Default: "
            "all but id and title; columns of lists are lists, of floating point numbers numbers, others categories."
        ),
    ] = None,
    item_list_separator: Annotated[
        str | None, typer.Option(help="Between the values of a list held in text. Default: | (RecBole files: a space).")
    ] = None,
    item_title_col: Annotated[
        str | None, typer.Option(help="Column of titles, shown by `recommend`. Default: title, where there is one.")
    ] = None,
    missing_items: Annotated[
        str, typer.Option(help="Items of the log without a row in --items: error, or empty features (empty).")
    ] = "error",
    cold_items: Annotated[
        str,
        typer.Option(
            help="Items of --items without training events: drop them, or give them an index after those of training "
            "(keep), so that they are candidates and their valid/test events stay."
        ),
    ] = "drop",
    users: Annotated[
        list[str] | None,
        typer.Option(help="Files with one row per user: side features (a profile). A user without a row has none."),
    ] = None,
    users_id_col: Annotated[
        str | None, typer.Option(help="Column of user ids there. Default: as --user-col, else user_id.")
    ] = None,
    user_features: Annotated[
        str | None, typer.Option(help="Feature columns there, as --item-features. Default: all but the id.")
    ] = None,
    cold_users: Annotated[
        str,
        typer.Option(
            help="Users of --users without training events: drop them, or give them an index (keep), so that models "
            "are told their features."
        ),
    ] = "drop",
    vocabulary: Annotated[
        str | None,
        typer.Option(help="Dataset whose item vocabulary is continued: its items keep their indices, new ones follow."),
    ] = None,
    sequence_order: Annotated[
        str, typer.Option(help="time: store sequences in the order of their first event; id: of their raw ids.")
    ] = "time",
    shards: Annotated[
        int | None, typer.Option(help="Shards per split. Default: one per 50,000 sequences, 1-64.")
    ] = None,
    compression: Annotated[str, typer.Option(help="none or gzip.")] = "none",
    seed: Annotated[int, typer.Option(help="Seed of random_user, random and --sample.")] = 0,
    audit: Annotated[bool, typer.Option("--audit", help="Report what leaks between splits.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing dataset.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after an interruption; ends with the same bytes.")
    ] = False,
    memory_limit: Annotated[str, typer.Option(help="Memory for sorting and joining; more goes to disk.")] = "2GB",
    runner: Annotated[
        str | None,
        typer.Option(
            help="Convert Parquet on a Beam engine instead: DirectRunner, FlinkRunner, SparkRunner, DataflowRunner."
        ),
    ] = None,
    beam_arg: Annotated[
        list[str] | None,
        typer.Option(help="Flag of the engine, --beam-arg=--flink_master=HOST:8081; repeat for more."),
    ] = None,
    dry_run: DryRunFlag = False,
    json: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Convert interaction logs to a dataset directory: TFRecord shards, vocabularies, schema and manifest.

    Example: `python -m tfrec.convert --input clicks.parquet --session-col session_id --item-col item_id --time-col
    timestamp --output DS`
    """
    del debug
    if impressions is not None:
        from tfrec.convert_impressions import convert_impression_log

        rule = split or ("given" if train else "day" if day_col else "random")
        convert_impression_log(
            impressions,
            given=[str(option.name) for option in written_options(context)],
            json_output=json,
            output=output,
            input=tuple(input or ()),
            train=tuple(train or ()),
            valid=tuple(valid or ()),
            test=tuple(test or ()),
            format=format,
            split=rule,
            day_column=day_col,
            time_column=time_col if split == "time" else None,
            valid_fraction=valid_fraction,
            test_fraction=test_fraction,
            valid_days=valid_days,
            test_days=test_days,
            sample=sample,
            stratify=stratify,
            shards=shards,
            compression=compression,
            seed=seed,
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
        )
        return
    if day_col is not None or sample is not None or stratify is not None:
        raise ConfigError(
            "`--day-col`, `--sample` and `--stratify` are for impressions.", remedy="Pass `--impressions SCHEMA.yaml`."
        )
    from tfrec.data.conversion import convert
    from tfrec.data.conversion_notes import time_warnings
    from tfrec.data.conversion_options import parse_options
    from tfrec.data.conversion_progress import ConversionProgress
    from tfrec.data.print_conversion import print_conversion

    options = parse_options(
        output=output,
        input=input or (),
        train=train or (),
        valid=valid or (),
        test=test or (),
        format=format,
        user_col=user_col,
        session_col=session_col,
        item_col=item_col,
        time_col=time_col,
        time_unit=time_unit,
        session_gap=session_gap,
        where=where or (),
        event_features=tuple(event_features.split(",")) if event_features else (),
        drop_consecutive_duplicates=drop_consecutive_duplicates,
        min_item_count=min_item_count,
        min_seq_len=min_seq_len,
        filter_mode=filter_mode,
        split=split,
        test_days=test_days,
        valid_days=valid_days,
        test_fraction=test_fraction,
        valid_fraction=valid_fraction,
        split_time=split_time,
        unknown_items=unknown_items,
        items=items or (),
        items_id_col=items_id_col,
        item_features=None if item_features is None else tuple(item_features.split(",")),
        item_list_separator=item_list_separator,
        item_title_col=item_title_col,
        missing_items=missing_items,
        cold_items=cold_items,
        users=users or (),
        users_id_col=users_id_col,
        user_features=None if user_features is None else tuple(user_features.split(",")),
        cold_users=cold_users,
        vocabulary=vocabulary,
        sequence_order=sequence_order,
        shards=shards,
        compression=compression,
        seed=seed,
        audit=audit,
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        memory_limit=memory_limit,
        runner=runner,
        beam_args=beam_arg or (),
    )
    with ConversionProgress() as report:
        manifest = convert(options, progress=report)
    warnings = time_warnings(manifest)
    for text in warnings:
        console(json_output=True).print(f"Warning: {text}", style="yellow", markup=False, soft_wrap=True)
    if json:
        document = {"output": output, "dry_run": dry_run, "warnings": warnings}
        print_json({**document, "manifest": manifest.model_dump(mode="json")})
    else:
        print_conversion(manifest, output, console(), dry_run=dry_run)


if __name__ == "__main__":
    sys.exit(run_command(main))
