"""`python -m tfrec.predict`: click probabilities for the rows of a file, as a CSV file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfrec.command import DebugFlag, JsonFlag, console, make_table, print_json, run_command
from tfrec.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

_MANY_UNKNOWN = 0.2


def main(
    run: Annotated[
        Path,
        typer.Option(
            help="Run directory of a click model; with --train it is made, and RUN.data beside it.", show_default=False
        ),
    ],
    input: Annotated[list[str], typer.Option(help="Parquet or CSV files, globs or directories; repeat for more.")],
    output: Annotated[Path, typer.Option(help="CSV file to write: id and probability.", show_default=False)],
    sample: Annotated[
        Path | None, typer.Option(help="CSV file whose first column has the ids in the order that is wanted.")
    ] = None,
    id_col: Annotated[
        str | None, typer.Option(help="Column that names a row. Default: `id` of the schema, else rows are numbered.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Name of the column of probabilities. Default: the label.")] = None,
    calibrate: Annotated[
        str, typer.Option(help="none, or balanced: as if there were as many clicks as other rows (same order).")
    ] = "none",
    train: Annotated[
        list[str] | None,
        typer.Option(help="Make the run first: files with labels to train on (with --impressions and --model)."),
    ] = None,
    impressions: Annotated[Path | None, typer.Option(help="With --train: YAML file with the roles of columns.")] = None,
    model: Annotated[str, typer.Option(help="With --train: a click model.")] = "feseq",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="With --train: settings of the training.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted call stopped.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing output; with --train also the run and its data.")
    ] = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Predicts the click probability of every row of a file, of any size.

    With `--train` the files are converted and a model is trained first: from files to a submission in one command.

    Example: `python -m tfrec.predict --run RUN --input test.parquet --sample sample_submission.csv --output
    submission.csv`

    From files: `python -m tfrec.predict --train train.parquet --impressions configs/impressions/toss.yaml --model feseq
    --run RUN --input test.parquet --output submission.csv`
    """
    del debug
    if calibrate not in ("none", "balanced"):
        raise ConfigError(f"`--calibrate {calibrate}` is unknown.", remedy="Known: none, balanced.")
    human = console(json_output=json_output)
    if train and impressions is None:
        raise ConfigError("`--train` needs to know the columns.", remedy="Pass --impressions SCHEMA.yaml.")
    from rich.progress import Progress

    from tfrec.training.predict_impressions import PredictionOptions, check_prediction, predict_impressions

    options = PredictionOptions(
        run=run,
        input=tuple(input),
        output=output,
        id_column=id_col,
        column=column,
        sample=sample,
        balanced=calibrate == "balanced",
        resume=resume,
        overwrite=overwrite,
    )
    if train and impressions is not None:
        from tfrec.training.train_from_files import train_from_files

        sources = check_prediction(options)
        train_from_files(
            run,
            train,
            impressions,
            model,
            assignments or [],
            sources,
            human,
            id_column=id_col,
            resume=resume,
            overwrite=overwrite,
        )
    with Progress(console=human, transient=True, disable=not human.is_terminal) as bar:
        task = bar.add_task("predicting")
        summary = predict_impressions(
            options,
            progress=lambda d, t: bar.update(task, completed=d, total=t),
            say=lambda text: human.print(text, markup=False),
        )
    _print(summary, human)
    if json_output:
        print_json(summary)


def _print(summary: dict[str, Any], human: Console) -> None:
    human.print(make_table("First rows", ["id", "probability"], [row.split(",")[:2] for row in summary["first"][1:]]))
    human.print(
        f"{summary['rows']:,} rows: mean {summary['mean']:.5f}, between {summary['min']:.5f} and {summary['max']:.5f}, "
        f"standard deviation {summary['std']:.5f}"
    )
    for name, share in summary["unknown"].items():
        if share > _MANY_UNKNOWN:
            human.print(f"Warning: {share:.0%} of `{name}` are unknown to the model or missing.", style="yellow")
    for alarm in summary["alarms"]:
        human.print(f"ALARM of the run: {alarm}", markup=False, style="bold red")
    human.print(f"Predictions: {summary['output']}", markup=False)


if __name__ == "__main__":
    sys.exit(run_command(main))
