"""`python -m tfrec.datasets`: known public data sets, from their owners' files to Parquet or a split data set."""

from __future__ import annotations

import enum
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfrec.command import DebugFlag, DryRunFlag, JsonFlag, console, make_table, print_json, run_command
from tfrec.errors import ConfigError

if TYPE_CHECKING:
    from tfrec.data.sources.prepare import PreparedEvents
    from tfrec.data.sources.public_dataset import PublicDataset


class Action(str, enum.Enum):
    """What to do."""

    LIST = "list"
    GET = "get"


def main(
    action: Annotated[Action, typer.Argument(help="list: show the data sets; get: read the files of one.")],
    name: Annotated[str | None, typer.Argument(help="Name of the data set, for get.", show_default=False)] = None,
    directory: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Directory (or zip file) with the files. Default: TFREC_DATA/NAME, else the owner's address.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[str | None, typer.Option(help="Parquet file to write.", show_default=False)] = None,
    items: Annotated[
        str | None,
        typer.Option(help="Parquet file to write what is known about items to, where there is something."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Dataset directory to write, split by the recipe.", show_default=False)
    ] = None,
    validation: Annotated[
        bool, typer.Option("--validation", help="With --dataset: cut valid from the end of train, as test was cut.")
    ] = False,
    follow_scripts: Annotated[
        bool, typer.Option("--follow-scripts", help="Do as the authors' scripts do where they differ from the recipe.")
    ] = False,
    hold_out_items: Annotated[
        float,
        typer.Option(
            help="With --output: drop the events of so large a share of the items, but for those that are the last of "
            "their user; leave_one_out then tests on items without training events."
        ),
    ] = 0.0,
    hold_out_seed: Annotated[int, typer.Option(min=0, help="Decides which items are held out.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what exists.")] = False,
    memory_limit: Annotated[str, typer.Option(help="Memory for sorting; more goes to disk.")] = "2GB",
    dry_run: DryRunFlag = False,
    json: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """List the public data sets that tfrec knows, or turn the files of one into Parquet or a split dataset.

    Without --from, those whose owner offers them to everybody (MovieLens) are downloaded, checked and kept in
    `~/.cache/tfrec`. `list` says where a person gets the others. Terms and citation are printed.

    Example: `python -m tfrec.datasets get retailrocket --from DIR --output events.parquet`
    """
    del debug
    if action is Action.LIST:
        if name is not None:
            raise ConfigError(f"`list` takes no name, received `{name}`.", remedy="Leave it out, or use get.")
        _list(json)
        return
    from tfrec.data.sources.registry import public_dataset

    if name is None:
        raise ConfigError("`get` needs the name of a data set.", remedy="`python -m tfrec.datasets list` shows them.")
    if output is None and dataset is None:
        raise ConfigError("Nothing to write.", remedy="Pass --output X.parquet, --dataset DIRECTORY, or both.")
    source = public_dataset(name)
    if follow_scripts and not source.script_note:
        raise ConfigError(f"`--follow-scripts`: the recipe of `{name}` is what the scripts do.", remedy="Leave it out.")
    recipe = source.recipe_for(follow_scripts=follow_scripts)
    if dataset is not None and recipe is None:
        raise ConfigError(
            f"`--dataset`: there is no recipe for `{name}`.",
            remedy="Pass --output and split it with python -m tfrec.convert.",
        )
    if hold_out_items and dataset is not None:
        raise ConfigError("`--hold-out-items` changes the file of --output.", remedy="Leave --dataset out.")
    if items is not None and not source.item_sets:
        raise ConfigError(f"`--items`: `{name}` has no file about items.", remedy="Leave it out.")
    from tfrec.data import held_out_items as held_out
    from tfrec.data.partial_output import check_output
    from tfrec.data.sources.locate import locate
    from tfrec.data.sources.prepare import prepare

    if hold_out_items:
        held_out.check_share(hold_out_items)  # before the log is read
    if dataset is not None and not dry_run:
        check_output(Path(dataset), overwrite)
    talk = console(json_output=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=_parent(dataset, output, dry_run)) as scratch:
        unpacked = Path(scratch) / "files"
        unpacked.mkdir()
        folder = locate(
            source,
            directory,
            unpacked,
            download=not dry_run,
            announce=lambda text: talk.print(text, markup=False, soft_wrap=True),
        )
        parquet = Path(output) if output is not None else Path(scratch) / f"{name}.parquet"
        settings: dict[str, Any] = {"overwrite": overwrite, "dry_run": dry_run, "memory_limit": memory_limit}
        table = source.items()
        item_file = Path(items) if items is not None else Path(scratch) / f"{name}-items.parquet"
        with_items = items is not None or (dataset is not None and table.has_files(folder))
        with talk.status(f"reading {name}"):
            events = prepare(source, folder, parquet, follow_scripts=follow_scripts, **settings)
            described = prepare(table, folder, item_file, **settings) if with_items else None
            held = None
            if hold_out_items and not dry_run:
                held = held_out.hold_out_items(parquet, hold_out_items, seed=hold_out_seed, memory_limit=memory_limit)
        document: dict[str, Any] = {
            "name": name,
            "output": output,
            "items_output": items,
            "dry_run": dry_run,
            "terms": source.terms,
            "citation": source.citation,
            "events": vars(events),
            "items": None if described is None else vars(described),
            "held_out": None if held is None else vars(held),
        }
        if recipe is not None:
            target = dataset or "DATASET"
            document["convert"] = recipe.command(
                output or f"{name}.parquet", target, validation=validation, items=items
            )
        if not json:
            _print_events(source, events, output, document.get("convert"), dataset, dry_run=dry_run)
            if described is not None and items is not None:
                columns = ", ".join(described.columns)
                text = f"Items: {described.rows:,} with {columns}: {items}"
                console().print(text, markup=False, soft_wrap=True)
            if held is not None:
                text = f"{held.items:,} items are held out: {held.dropped:,} events of them were dropped, "
                console().print(f"{text}{held.targets:,} are the last of their user.", markup=False, soft_wrap=True)
        if dataset is not None and recipe is not None and not dry_run:
            options = recipe.options(validation=validation, items=str(item_file) if with_items else None)
            document |= _convert(parquet, dataset, options, overwrite, memory_limit, json=json)
    if json:
        print_json(document)


def _parent(dataset: str | None, output: str | None, dry_run: bool) -> Path | None:
    """Where a temporary Parquet file fits: beside the dataset, when there is no --output."""
    if dry_run or output is not None or dataset is None:
        return None
    parent = Path(dataset).absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    return parent


def _convert(
    parquet: Path, dataset: str, options: dict[str, Any], overwrite: bool, memory_limit: str, *, json: bool
) -> dict[str, Any]:
    from tfrec.data.conversion import convert
    from tfrec.data.conversion_options import parse_options
    from tfrec.data.print_conversion import print_dropped

    parsed = parse_options(
        output=dataset, input=(str(parquet),), overwrite=overwrite, memory_limit=memory_limit, **options
    )
    with console(json_output=True).status("converting") as status:
        manifest = convert(parsed, progress=lambda stage, done, total: status.update(f"converting: {stage}"))
    if not json:
        rows = [
            (split, f"{part.sequences:,}", f"{part.events:,}", f"{part.targets:,}", _utc(part.first_time))
            for split, part in manifest.splits.items()
        ]
        columns = ["split", "sequences", "events", "targets", "first event (UTC)"]
        console().print(make_table(f"{manifest.counts.items:,} items", columns, rows))
        print_dropped(manifest, console())
        console().print(f"Dataset: {dataset}", markup=False, soft_wrap=True)
    return {"dataset": dataset, "manifest": manifest.model_dump(mode="json")}


def _list(json: bool) -> None:
    from tfrec.data.sources.registry import PUBLIC_DATASETS

    if json:
        documents = [
            {
                "name": source.name,
                "title": source.title,
                "terms": source.terms,
                "citation": source.citation,
                "where": source.where,
                "download": None if source.archive is None else source.archive.url,
                "files": [[file.name for file in file_set.files] for file_set in source.file_sets],
                "item_files": [[file.name for file in file_set.files] for file_set in source.item_sets],
                "recipe": source.recipe_note,
                "settings": None if source.recipe is None else source.recipe.options(),
                "scripts_differ": source.script_note or None,
            }
            for source in PUBLIC_DATASETS.values()
        ]
        print_json({"datasets": documents})
        return
    out = console()
    out.print("Known public data sets. `get` downloads those that say so; get the others from their owners.\n")
    for source in PUBLIC_DATASETS.values():
        out.print(source.name, style="bold", markup=False)
        rows = [
            ("what", source.title),
            ("files", ", or ".join(source.file_names)),
            ("where", source.where),
            ("terms", source.terms),
            ("cite", source.citation),
            ("recipe", source.recipe_note),
        ]
        if source.item_sets:
            rows.insert(2, ("items", ", or ".join(source.items().file_names)))
        if source.archive is not None:
            rows.insert(2, ("download", source.archive.url))
        if source.script_note:
            rows.append(("scripts", f"--follow-scripts: {source.script_note}"))
        for label, text in rows:
            out.print(f"  {label:<10}{text}", markup=False, soft_wrap=True)
    out.print("\npython -m tfrec.datasets get NAME --from DIR --output X.parquet", markup=False)


def _print_events(
    source: PublicDataset,
    events: PreparedEvents,
    output: str | None,
    command: str | None,
    dataset: str | None,
    *,
    dry_run: bool,
) -> None:
    out = console()
    rows = [("rows", f"{events.rows:,}")]
    rows += [(f"distinct {name}", f"{count:,}") for name, count in events.distinct.items()]
    if source.has_times and events.first_time is not None and events.last_time is not None:
        rows += [("first event (UTC)", _utc(events.first_time)), ("last event (UTC)", _utc(events.last_time))]
    rows.append(("columns", ", ".join(events.columns) if len(events.columns) < 20 else f"{len(events.columns)}"))
    out.print(make_table(source.name, ["", ""], rows))
    out.print(f"{source.title}. Terms: {source.terms}.", markup=False, soft_wrap=True)
    out.print(f"Cite: {source.citation}.", markup=False, soft_wrap=True)
    if dry_run:
        out.print("Nothing was written (--dry-run).")
    elif output is not None:
        out.print(f"Parquet: {output}", markup=False, soft_wrap=True)
    if command is not None and dataset is None:
        out.print(f"Recipe: {source.recipe_note}. Split it with", markup=False, soft_wrap=True)
        out.print(command, markup=False, soft_wrap=True)


def _utc(milliseconds: int) -> str:
    from datetime import datetime, timezone

    return datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


if __name__ == "__main__":
    sys.exit(run_command(main))
