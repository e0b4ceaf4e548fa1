"""`python -m tfrec.tune`: search for settings, confirm the winner over seeds, write `best.yaml` and a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfrec.command import DebugFlag, DryRunFlag, JsonFlag, console, print_json, run_command
from tfrec.errors import ConfigError


def main(
    model: Annotated[str, typer.Option(help="Registered model; `python -m tfrec` lists them.")] = "",
    data: Annotated[
        str, typer.Option(help="Dataset directory with a validation split; without it, synthetic clicks.")
    ] = "",
    space: Annotated[
        Path | None, typer.Option(help="YAML file of the search space. Default: configs/tuning/MODEL.yaml.")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Number of trials. Default: 20; with hyperband one whole pass, with grid all."),
    ] = None,
    searcher: Annotated[str, typer.Option(help="random, bayesian, hyperband or grid.")] = "random",
    objective: Annotated[
        str, typer.Option(help="Metric of `valid`, e.g. ndcg@10; of click models auc. Default: what training monitors.")
    ] = "",
    config: Annotated[Path | None, typer.Option(help="YAML file over the preset, for every trial.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Decide one key; it is then not searched.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Search directory. Default: tuning/MODEL-DATE-TIME.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the proposals and of every trial.")] = 42,
    max_epochs: Annotated[
        int | None, typer.Option(min=1, help="Hyperband: epochs of the longest trials. Default: training.epochs.")
    ] = None,
    factor: Annotated[int, typer.Option(min=2, help="Hyperband: one of so many trials goes on, so much longer.")] = 3,
    max_failures: Annotated[int, typer.Option(min=1, help="Stop after so many failed trials in a row.")] = 5,
    confirm_seeds: Annotated[
        int, typer.Option(min=0, help="Retrain winner and default configuration with so many fresh seeds; 0: do not.")
    ] = 3,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the search in --output; --trials may be raised.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the search in --output.")] = False,
    dry_run: DryRunFlag = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Searches for the settings that are best on the validation split; the test split is not looked at.

    Writes `best.yaml` (pass it to `tfrec.train --config`), `trials.csv`, `trials.json` and `report.html`. A search that
    was interrupted, even by `kill -9`, continues with `--resume` to the same trials.

    Example: `python -m tfrec.tune --model gru4rec --data DS --trials 50 --searcher bayesian --output TUNE`
    """
    del debug
    import datetime

    from tfrec.process_tuning import keep_freed_memory, use_threads_for_small_operations
    from tfrec.tuning.preview import preview_search
    from tfrec.tuning.read_space import read_space
    from tfrec.tuning.search import run_search
    from tfrec.tuning.search_data import check_splits, open_data
    from tfrec.tuning.search_directory import SearchDirectory
    from tfrec.tuning.search_settings import SearchSettings

    if not model:
        raise ConfigError("No model is given.", remedy="Pass `--model gru4rec`; `python -m tfrec` lists all models.")
    settings = SearchSettings(
        read_space(model, space),
        searcher=searcher,
        trials=trials,
        objective=objective,
        seed=seed,
        config_file=config,
        assignments=tuple(assignments or ()),
        max_epochs=max_epochs,
        factor=factor,
        max_failures=max_failures,
        confirm_seeds=confirm_seeds,
    )
    human = console(json_output=json_output)
    if output is None:
        output = Path("tuning") / f"{model}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    if dry_run:
        SearchDirectory(output).check(overwrite=overwrite, resume=resume)
        if data:
            check_splits(open_data(settings, data))
        document = preview_search(settings, human)
        if json_output:
            print_json({"output": str(output), **document})
        return
    keep_freed_memory()
    if model == "gru4rec":
        use_threads_for_small_operations()
    human.print(f"Search directory: {output}", markup=False)
    found = run_search(settings, output, human, data=data or None, overwrite=overwrite, resume=resume)
    if json_output:
        print_json({"output": str(output), **found})


if __name__ == "__main__":
    sys.exit(run_command(main))
