"""`python -m tfx_pipeline.run`: a Parquet log to a pushed, checked model, with everything in between recorded."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfrec.command import DebugFlag, DryRunFlag, JsonFlag, console, print_json, run_command
from tfrec.errors import ConfigError

EXIT_BLOCKED = 7
"""Exit code of a run whose model was not pushed because a gate said no."""


def main(
    root: Annotated[Path, typer.Option(help="Directory of artifacts, metadata, logs, reports and served versions.")],
    data: Annotated[
        list[str] | None,
        typer.Option(help="Parquet files, globs or directories; {SPAN} in a path: the latest span. Repeat for more."),
    ] = None,
    train: Annotated[list[str] | None, typer.Option(help="Training files, when the split is given.")] = None,
    valid: Annotated[list[str] | None, typer.Option(help="Validation files.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="Test files.")] = None,
    impressions: Annotated[
        Path | None,
        typer.Option(help="YAML file with the roles of columns: the log is of impressions, for click models."),
    ] = None,
    day_col: Annotated[str | None, typer.Option(help="Impressions: column of days for --split day.")] = None,
    model: Annotated[str, typer.Option(help="Registered model; `python -m tfrec` lists them.")] = "gru4rec",
    config: Annotated[Path | None, typer.Option(help="YAML file that overrides the model's preset.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key, e.g. training.epochs=3.")
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Bounds of the Evaluator, e.g. minimum.recall@20=0.3; repeat for more."),
    ] = None,
    anomalies: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Bounds of the anomaly gate, e.g. new_item_events=0.5."),
    ] = None,
    export: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Settings of the export, e.g. index.kind=ivf.")
    ] = None,
    tune: Annotated[int, typer.Option(min=0, help="Trials of the Tuner before training; 0: no Tuner.")] = 0,
    space: Annotated[Path | None, typer.Option(help="YAML file of the Tuner's space. Default: the model's.")] = None,
    searcher: Annotated[str, typer.Option(help="The Tuner's: random, bayesian, hyperband or grid.")] = "random",
    objective: Annotated[
        str,
        typer.Option(
            help="What the Tuner improves, e.g. ndcg@10, of click models auc. Default: what training monitors."
        ),
    ] = "",
    serving: Annotated[Path | None, typer.Option(help="Directory of versions. Default: ROOT/serving.")] = None,
    keep: Annotated[int, typer.Option(min=0, help="Versions to keep there; 0: all.")] = 0,
    push_again: Annotated[
        bool, typer.Option("--push-again", help="Push a model also when it was rolled back there.")
    ] = False,
    redis: Annotated[
        str | None,
        typer.Option(
            help="Publish vectors there: a URL, or `env` for that of the environment variable TFREC_REDIS_URL, which "
            "keeps the password out of the process list."
        ),
    ] = None,
    user_col: Annotated[str | None, typer.Option(help="Column of user ids.")] = None,
    session_col: Annotated[
        str | None, typer.Option(help="Column of session ids. Default of the two: session_id, else user_id.")
    ] = None,
    item_col: Annotated[str, typer.Option(help="Column of item ids.")] = "item_id",
    time_col: Annotated[str, typer.Option(help="Column of event times.")] = "timestamp",
    time_unit: Annotated[str, typer.Option(help="Unit of numeric times: auto, s, ms, us or ns.")] = "auto",
    event_features: Annotated[
        str, typer.Option(help="Columns of the log that become categories of events, as behavior_type,place.")
    ] = "",
    session_gap: Annotated[float | None, typer.Option(help="Seconds after which a new session begins.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Read only rows with COLUMN OPERATOR VALUE.")] = None,
    min_item_count: Annotated[int, typer.Option(help="Drop items with fewer events.")] = 1,
    min_seq_len: Annotated[int, typer.Option(help="Drop sequences with fewer events (at least 2).")] = 2,
    filter_mode: Annotated[str, typer.Option(help="fixpoint, or single_pass, as in tfrec.convert.")] = "fixpoint",
    drop_consecutive_duplicates: Annotated[
        bool, typer.Option("--drop-consecutive-duplicates", help="Collapse i,i,j to i,j within a sequence.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="Split rule, as in tfrec.convert.")] = None,
    test_days: Annotated[float | None, typer.Option(help="Days in test.")] = None,
    valid_days: Annotated[float | None, typer.Option(help="Days in valid before test. Default 0: none.")] = None,
    test_fraction: Annotated[float | None, typer.Option(help="Share in test.")] = None,
    valid_fraction: Annotated[float | None, typer.Option(help="Share in valid.")] = None,
    split_time: Annotated[int | None, typer.Option(help="Count days back from this time, milliseconds.")] = None,
    unknown_items: Annotated[
        str, typer.Option(help="Valid/test events of items without training events: drop, or keep as misses (oov).")
    ] = "drop",
    items: Annotated[
        list[str] | None, typer.Option(help="Files with one row per item: side features, as in tfrec.convert.")
    ] = None,
    items_id_col: Annotated[str | None, typer.Option(help="Their column of ids. Default: as in the log.")] = None,
    item_features: Annotated[
        str, typer.Option(help="Their columns that are features, as genres,year:number. Default: all.")
    ] = "",
    item_list_separator: Annotated[
        str | None, typer.Option(help="Between values of a list in a text column. Default: |")
    ] = None,
    missing_items: Annotated[
        str | None, typer.Option(help="An item of the log without a row: error (default), or empty.")
    ] = None,
    users: Annotated[
        list[str] | None, typer.Option(help="Files with one row per user: side features; needs --user-col.")
    ] = None,
    users_id_col: Annotated[str | None, typer.Option(help="Their column of ids. Default: as in the log.")] = None,
    user_features: Annotated[str, typer.Option(help="Their columns that are features. Default: all.")] = "",
    item_vectors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Vectors of items (.npz or Parquet), for model.item_vectors=[NAME]; repeat for more.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits random_user and random.")] = 0,
    runner: Annotated[
        str, typer.Option(help="Beam's: DirectRunner (here, default), or FlinkRunner, SparkRunner, PortableRunner.")
    ] = "",
    beam_arg: Annotated[
        list[str] | None, typer.Option(metavar="FLAG", help="Passed to Beam, e.g. --beam-arg=--direct_num_workers=2.")
    ] = None,
    from_node: Annotated[str | None, typer.Option("--from", help="Begin with this node; take the rest over.")] = None,
    to_node: Annotated[str | None, typer.Option("--to", help="End with this node.")] = None,
    cache: Annotated[bool, typer.Option(help="Take over nodes whose inputs and settings did not change.")] = True,
    dry_run: DryRunFlag = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Runs all nodes: examples, statistics, validation, Transform, [Tuner,] Trainer, Evaluator, replay, Pusher, Redis.

    A model is pushed only when the data are as the schema says, no metric is below its bound, neither over all targets
    nor in a slice, and the exported model answers as the trained one. Exit code 7: the model was blocked; its reasons
    are printed and stand in ROOT/report.html. Run the same command again after an interruption: what was done is taken
    over.

    Example: `python -m tfx_pipeline.run --data clicks.parquet --model sasrec --root shop --redis redis://localhost:6379/0`

    Click models: `python -m tfx_pipeline.run --data impressions.parquet --impressions toss.yaml --day-col day_of_week
    --model feseq --root ads`
    """
    _check_installed()
    if not data and not train:
        raise ConfigError("There are no data.", remedy="Pass --data FILE.parquet, or --train and --test.")
    conversion = {
        "input": tuple(data or ()),
        "train": tuple(train or ()),
        "valid": tuple(valid or ()),
        "test": tuple(test or ()),
        "user_col": user_col,
        "session_col": session_col,
        "item_col": item_col,
        "time_col": time_col,
        "time_unit": time_unit,
        "event_features": _names(event_features),
        "session_gap": session_gap,
        "where": tuple(where or ()),
        "min_item_count": min_item_count,
        "min_seq_len": min_seq_len,
        "filter_mode": filter_mode,
        "drop_consecutive_duplicates": drop_consecutive_duplicates,
        "split": split,
        "test_days": test_days,
        "valid_days": valid_days,
        "test_fraction": test_fraction,
        "valid_fraction": valid_fraction,
        "split_time": split_time,
        "unknown_items": unknown_items,
        "seed": seed,
    }
    if impressions is not None:
        from tfx_pipeline.impressions.conversion_flags import impression_flags

        conversion = impression_flags(impressions, conversion, day_col)
    elif day_col is not None:
        raise ConfigError("`--day-col` is for impressions.", remedy="Pass `--impressions SCHEMA.yaml`.")
    human = console(json_output=json_output)
    from tfx_pipeline.beam_flags import refuse_url
    from tfx_pipeline.quiet_logs import quiet_logs

    for flag, path in (("--root", root), ("--serving", serving)):
        refuse_url(path or "", flag)
    root = root.resolve()
    with quiet_logs(None if dry_run else root / "logs", debug=debug):
        from tfx_pipeline.run_settings import make_settings
        from tfx_pipeline.run_whole import run_whole

        settings = make_settings(
            root=root,
            conversion=conversion,
            model=model,
            config=config,
            assignments=assignments or (),
            gate=gate or (),
            anomalies=anomalies or (),
            export=export or (),
            tune=tune,
            space=space,
            searcher=searcher,
            objective=objective,
            serving=serving,
            keep=keep,
            push_again=push_again,
            redis=redis,
            runner=runner,
            beam=beam_arg or (),
            cache=cache,
            side={
                "items": tuple(items or ()),
                "items_id_col": items_id_col,
                "item_features": _names(item_features),
                "item_list_separator": item_list_separator,
                "missing_items": missing_items,
                "users": tuple(users or ()),
                "users_id_col": users_id_col,
                "user_features": _names(user_features),
            },
            item_vectors=item_vectors or (),
        )
        document: dict[str, Any] = run_whole(settings, human, from_node=from_node, to_node=to_node, dry_run=dry_run)
    if json_output:
        print_json(document)
    if document.get("blocked"):
        raise typer.Exit(EXIT_BLOCKED)


def _names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _check_installed() -> None:
    """Raises ConfigError without TFX."""
    for package in ("tfx", "tensorflow_model_analysis"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"The pipeline needs TFX, but this environment has no package `{package}`.",
                remedy="Use the environment of `make setup` (Python 3.10), or install tfrec with its extra `tfx`.",
            )


if __name__ == "__main__":
    sys.exit(run_command(main))
