"""`python -m tfrec.evaluate`: measure a trained model on a split, or compare two of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfrec.command import DebugFlag, JsonFlag, console, print_json, run_command
from tfrec.errors import ConfigError


def main(
    run: Annotated[Path | None, typer.Option(help="Run directory of `tfrec.train`.")] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two run directories on the same data: differences with intervals, instead of --run."),
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="Other dataset directories with the same schema; repeat for several.")
    ] = None,
    split: Annotated[str, typer.Option(help="valid or test. Default: the split of the run.")] = "",
    protocol: Annotated[
        str, typer.Option(help="full: among all items; sampled: among sampled negatives; both. Default: as the run.")
    ] = "",
    negatives: Annotated[
        int | None, typer.Option(min=1, help="Negatives per target of sampled ranking. Default: as the run, else 99.")
    ] = None,
    cutoffs: Annotated[str, typer.Option(help="Cut-offs, e.g. 1,5,10,20. Default: those of the run.")] = "",
    tie_rule: Annotated[str, typer.Option(help="standard, conservative or median. Default: that of the run.")] = "",
    candidates: Annotated[
        Path | None, typer.Option(help="Text file with one raw item id per line: only these items compete.")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Compare with counting models in the same table.")] = True,
    rerank: Annotated[
        str, typer.Option(help="Order the best candidates anew by mmr, novelty, calibration: what it costs and brings.")
    ] = "",
    set: Annotated[
        list[str] | None,
        typer.Option(help="Other settings of the evaluation, e.g. evaluation.exclude_history=true; repeat for more."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Also write the results to this JSON file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write a self-contained HTML report to this file.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Take over the models that an interrupted call with --output finished.")
    ] = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Ranks every target of a split with the model of a run and with its baselines, or compares two runs.

    Full ranking is among all items. Sampled ranking is among the target and a few negatives, drawn once for all models;
    its numbers are on another scale, for comparison with published ones only.

    Example: `python -m tfrec.evaluate --run RUN --split test --protocol both`, `python -m tfrec.evaluate --compare
    RUN_A RUN_B`
    """
    del debug
    changes = [
        f"evaluation.{key}={value}"
        for key, value in (
            ("split", split),
            ("protocol", protocol),
            ("sampled.num_negatives", negatives or ""),
            ("cutoffs", f"[{cutoffs}]" if cutoffs else ""),
            ("tie_rule", tie_rule),
            ("rerank.methods", f"[{rerank}]" if rerank else ""),
        )
        if value
    ]
    for assignment in set or []:
        if not assignment.startswith("evaluation."):
            raise ConfigError(
                f"`--set {assignment}` is not a setting of the evaluation.",
                remedy="Keys begin with `evaluation.`; the model and its training are what the run made them.",
            )
        changes.append(assignment)
    from tfrec.files import write_json

    human = console(json_output=json_output)
    if (run is None) == (compare is None):
        raise ConfigError("What is to be evaluated?", remedy="Pass either `--run RUN` or `--compare RUN_A RUN_B`.")
    if compare is not None:
        from tfrec.training.compare_runs import compare_runs, print_comparison

        unused = {
            "--candidates": candidates,
            "--report": report,
            "--resume": resume or None,
            "--rerank": rerank or None,
        }
        for flag, value in unused.items():
            if value is not None:
                raise ConfigError(f"`{flag}` does not go with `--compare`.", remedy="Leave it out.")
        if data is not None and len(data) > 1:
            raise ConfigError("Two runs are compared on one data set.", remedy="Call once for each `--data`.")
        document = compare_runs(*compare, human, data=data[0] if data else None, assignments=changes)
        print_comparison(document, human)
        if output is not None:
            write_json(output, document)
    elif run is not None:
        from tfrec.training.evaluate_run import evaluate_run

        document = evaluate_run(
            run,
            human,
            data=data or (),
            assignments=changes,
            candidates=candidates,
            baselines=baselines,
            output=output,
            report=report,
            resume=resume,
        )
    if json_output:
        print_json(document)


if __name__ == "__main__":
    sys.exit(run_command(main))
