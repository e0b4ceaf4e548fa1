"""`python -m tfrec.evaluate`: measure a trained model on a split."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfrec.command import DebugFlag, JsonFlag, console, print_json, run_command


def main(
    run: Annotated[Path, typer.Option(help="Run directory of `tfrec.train`.")],
    data: Annotated[str, typer.Option(help="Another dataset directory with the same schema.")] = "",
    split: Annotated[str, typer.Option(help="valid or test. Default: the split of the run.")] = "",
    cutoffs: Annotated[str, typer.Option(help="Cut-offs, e.g. 1,5,10,20. Default: those of the run.")] = "",
    tie_rule: Annotated[str, typer.Option(help="standard, conservative or median. Default: that of the run.")] = "",
    baselines: Annotated[bool, typer.Option(help="Compare with counting models in the same table.")] = True,
    output: Annotated[Path | None, typer.Option(help="Also write the result to this JSON file.")] = None,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Ranks every target of a split among all items with the model of a run and with its baselines.

    Example: `python -m tfrec.evaluate --run RUN --split test --cutoffs 1,5,10,20`
    """
    from tfrec.evaluation.scorer import Scorer
    from tfrec.files import write_json
    from tfrec.training.experiment import check_dataset
    from tfrec.training.measure import fit_baselines, measure, print_results, results_document
    from tfrec.training.model_store import load_run, run_config

    loaded = load_run(run)
    changes = [
        f"evaluation.{key}={value}"
        for key, value in (("split", split), ("cutoffs", f"[{cutoffs}]" if cutoffs else ""), ("tie_rule", tie_rule))
        if value
    ]
    config = run_config(loaded.config.model.name, file=loaded.directory.config, assignments=changes)
    human = console(json_output=json_output)
    dataset = loaded.open_dataset(data or None)
    check_dataset(dataset, config)
    dataset.verify(config.evaluation.split)
    names = config.evaluation.baselines if baselines else []
    scorers: dict[str, Scorer] = dict(fit_baselines(names, dataset, config, human))
    scorers[config.model.name] = loaded.model
    results = measure(scorers, dataset, config.evaluation, human)
    print_results(results, config.evaluation, human)
    document = {"run": str(run), "split": config.evaluation.split, **results_document(results, config.model.name)}
    if output is not None:
        write_json(output, document)
    if json_output:
        print_json(document)


if __name__ == "__main__":
    sys.exit(run_command(main))
