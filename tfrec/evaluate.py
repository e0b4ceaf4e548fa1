"""`python -m tfrec.evaluate`: measure a trained model on a split."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from tfrec.command import DebugFlag, JsonFlag, console, print_json, run_command
from tfrec.errors import ConfigError


def main(
    run: Annotated[Path, typer.Option(help="Run directory of `tfrec.train`.")],
    data: Annotated[
        list[str] | None, typer.Option(help="Other dataset directories with the same schema; repeat for several.")
    ] = None,
    split: Annotated[str, typer.Option(help="valid or test. Default: the split of the run.")] = "",
    cutoffs: Annotated[str, typer.Option(help="Cut-offs, e.g. 1,5,10,20. Default: those of the run.")] = "",
    tie_rule: Annotated[str, typer.Option(help="standard, conservative or median. Default: that of the run.")] = "",
    candidates: Annotated[
        Path | None, typer.Option(help="Text file with one raw item id per line: only these items compete.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Compare with counting models in the same table.")] = True,
    output: Annotated[Path | None, typer.Option(help="Also write the results to this JSON file.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Take over the models that an interrupted call with --output finished.")
    ] = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Ranks every target of a split among all items with the model of a run and with its baselines.

    Example: `python -m tfrec.evaluate --run RUN --split test --cutoffs 1,5,10,20`
    """
    from tfrec.data.candidate_list import read_candidates
    from tfrec.evaluation.scorer import Scorer
    from tfrec.files import write_json
    from tfrec.training.experiment import check_dataset
    from tfrec.training.measure import fit_baselines, measure, print_results, results_document
    from tfrec.training.model_store import load_run, run_config
    from tfrec.training.result_store import ResultStore

    if resume and output is None:
        raise ConfigError("`--resume` needs `--output`: only a call with an output file keeps intermediate results.")
    loaded = load_run(run)
    changes = [
        f"evaluation.{key}={value}"
        for key, value in (("split", split), ("cutoffs", f"[{cutoffs}]" if cutoffs else ""), ("tie_rule", tie_rule))
        if value
    ]
    config = run_config(loaded.config.model.name, file=loaded.directory.config, assignments=changes)
    human = console(json_output=json_output)
    documents = []
    stores = []
    for number, path in enumerate(data or [loaded.dataset_path]):
        dataset = loaded.open_dataset(path)
        check_dataset(dataset, config)
        for name in {"train", config.evaluation.split} if baselines else {config.evaluation.split}:
            dataset.verify(name)
        subset = read_candidates(candidates, dataset.item_vocabulary) if candidates is not None else None
        names = config.evaluation.baselines if baselines else []
        scorers: dict[str, Scorer] = dict(fit_baselines(names, dataset, config, human))
        scorers[config.model.name] = loaded.model
        store = None
        if output is not None:
            made_from = {
                "config": config.model_dump(mode="json"),
                "data": dataset.manifest.model_dump(mode="json"),
                "checkpoint": loaded.checkpoint,
                "candidates": subset,
            }
            folder = output.with_name(f"{output.name}.partial") / str(number)
            store = ResultStore(folder, made_from, resume=resume)
            stores.append(store)
        results = measure(scorers, dataset, config.evaluation, human, store=store, candidates=subset)
        print_results(results, config.evaluation, human)
        document = results_document(results, config.model.name)
        documents.append({"run": str(run), "data": path, "split": config.evaluation.split, **document})
    result = documents[0] if len(documents) == 1 else {"evaluations": documents}
    if output is not None:
        write_json(output, result)
        for store in stores:
            store.clear()
        shutil.rmtree(output.with_name(f"{output.name}.partial"), ignore_errors=True)
    if json_output:
        print_json(result)


if __name__ == "__main__":
    sys.exit(run_command(main))
