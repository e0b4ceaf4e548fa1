"""`python -m tfrec.export`: a trained run as a version directory for TensorFlow Serving."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfrec.command import DebugFlag, DryRunFlag, JsonFlag, console, print_json, run_command
from tfrec.errors import ConfigError


def main(
    run: Annotated[Path | None, typer.Option(help="Run directory of `tfrec.train`.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Directory of all versions of the model, which TensorFlow Serving watches.")
    ] = None,
    index: Annotated[
        str | None, typer.Option(help="exact: search all items; ivf: only the nearest clusters of items.")
    ] = None,
    k: Annotated[
        int | None, typer.Option(min=1, help="Items per list where requests cannot say how many. Default: 100.")
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option(help="Further settings, e.g. index.num_probes=16; repeat for more.")
    ] = None,
    candidates: Annotated[
        Path | None, typer.Option(help="Text file with one raw item id per line: only these are recommended.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Other dataset directory with the schema of the run. Default: that of the run.")
    ] = None,
    items_only: Annotated[
        bool,
        typer.Option(
            "--items-only",
            help="Make only the item side of the newest version anew: another index, candidates, or with --data other "
            "item features; everything else stays as it is.",
        ),
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(help="Click models: Parquet file whose column types inputs shall have. Default: text and floats."),
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Compare with the model, in a process that has only TensorFlow, before publishing.")
    ] = True,
    version: Annotated[int | None, typer.Option(min=1, help="Its number. Default: one more than the newest.")] = None,
    keep: Annotated[int | None, typer.Option(min=1, help="Remove all but the newest versions.")] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Park the newest version of --output: the one before is served again.")
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option(help="Check this version directory again, and with --data or --run that it fits them."),
    ] = None,
    dry_run: DryRunFlag = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Writes the model of a run as a SavedModel that stock TensorFlow Serving runs: raw ids in, raw ids and scores out.

    Of a click model: raw columns in, probabilities out. A version becomes visible when it is whole and its answers to
    golden requests are those of the model. Beside the SavedModel it holds warm-up requests, the schema, a model card
    and the golden requests.

    Example: `python -m tfrec.export --run RUN --output models/shop`, `python -m tfrec.export --output models/shop
    --items-only --index ivf`, `python -m tfrec.export --output models/shop --rollback`
    """
    del debug
    human = console(json_output=json_output)
    exporting = {"--items-only": items_only, "--candidates": candidates, "--index": index, "--k": k, "--set": set}
    exporting["--like"] = like
    if check is not None:
        others: dict[str, object] = {"--output": output, "--rollback": rollback, "--keep": keep, "--version": version}
        _refuse({**exporting, **others, "--dry-run": dry_run}, "--check")
        from tfrec.serving.check_export import check_export

        report = check_export(check, data=data, run=run, verify=verify)
        human.print(f"{check}: {report['model']}, good.", markup=False)
        if json_output:
            print_json(report)
        return
    if output is None:
        raise ConfigError("Where are the versions?", remedy="Pass `--output DIR`, or `--check DIR/VERSION`.")
    if rollback:
        others = {"--run": run, "--data": data, "--version": version, "--keep": keep, "--no-verify": not verify}
        _refuse({**exporting, **others}, "--rollback")
        from tfrec.serving.version_directory import VersionDirectory

        directory = VersionDirectory(output)
        parked, newest = directory.rollback(dry_run=dry_run)
        what = "would be" if dry_run else "is"
        human.print(f"Version {parked} {what} parked, version {newest} {what} the newest again.", markup=False)
        if json_output:
            print_json({"dry_run": dry_run, "parked": parked, "newest": newest})
        return
    if run is None and not items_only:
        raise ConfigError("No run is given.", remedy="Pass `--run RUN`.")
    settings = {"k": k, "index.kind": index}
    assignments = [f"{key}={value}" for key, value in settings.items() if value is not None]
    from tfrec.serving.export_run import ExportOptions, export_run

    options = ExportOptions(
        run=run,
        assignments=[*assignments, *(set or [])],
        data=data,
        candidates=candidates,
        items_only=items_only,
        like=like,
        verify=verify,
        version=version,
        keep=keep,
        dry_run=dry_run,
    )
    document = export_run(output, options, human)
    if json_output:
        print_json(document)


def _refuse(flags: dict[str, object], beside: str) -> None:
    for flag, value in flags.items():
        if value:
            raise ConfigError(f"`{flag}` does not go with `{beside}`.", remedy="Leave it out.")


if __name__ == "__main__":
    sys.exit(run_command(main))
