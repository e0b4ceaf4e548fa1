"""`python -m tfrec.train`: train a model, measure it beside its baselines, write a run directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfrec.command import DebugFlag, DryRunFlag, JsonFlag, console, print_json, run_command
from tfrec.errors import ConfigError


def main(
    model: Annotated[str, typer.Option(help="Registered model; `python -m tfrec` lists them.")] = "",
    data: Annotated[str, typer.Option(help="Dataset directory of `tfrec.convert`; without it, synthetic clicks.")] = "",
    config: Annotated[Path | None, typer.Option(help="YAML file that overrides the model's preset.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key, e.g. training.epochs=3.")
    ] = None,
    params: Annotated[
        str,
        typer.Option(
            help="Settings under published names, name=value,...: gru4rec as the official `run.py -ps`, "
            "long_term_interest and ur4rec as the flags of their publications."
        ),
    ] = "",
    output: Annotated[Path | None, typer.Option(help="Run directory. Default: runs/MODEL-DATE-TIME.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, drop-out, negatives and shuffles.")] = None,
    baselines: Annotated[bool, typer.Option(help="Compare with counting models in the same table.")] = True,
    from_manifest: Annotated[
        Path | None, typer.Option(help="Repeat the run of this manifest.json; refuses data that has changed.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --output.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --output.")] = False,
    dry_run: DryRunFlag = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Trains a model and measures it with exact full ranking.

    Without `--data` it uses a built-in synthetic clickstream, whose best attainable recall is known.

    On processors it sets how the process reuses memory and, for gru4rec on at most four of them, one thread per
    operation; TF_NUM_INTRAOP_THREADS, MALLOC_*_ and GLIBC_TUNABLES have precedence, TFREC_TUNING=0 turns it off.

    Example: `python -m tfrec.train --model gru4rec --data DS --output RUN --set training.epochs=5`
    """
    import datetime

    from tfrec.config.gru4rec_config import parse_official_params
    from tfrec.config.load import Overlay, dump_yaml, model_name_of, read_yaml
    from tfrec.config.long_term_interest_flags import parse_flags
    from tfrec.config.ur4rec_flags import parse_stage_flags
    from tfrec.registry import check_model_name

    if resume and config is None and output is not None and (output / "config.yaml").is_file():
        config = output / "config.yaml"
    replayed = None
    if from_manifest is not None:
        from tfrec.training.run_manifest import read_manifest

        replayed = read_manifest(from_manifest)
    name = model or (model_name_of(config) if config else None) or (replayed["model"] if replayed else None)
    if name is None:
        raise ConfigError("No model is given.", remedy="Pass `--model gru4rec`; `python -m tfrec` lists all models.")
    check_model_name(name)
    overlays: list[Overlay] = []
    if replayed is not None:
        overlays.append((f"`{from_manifest}`", replayed["config"]))
    if params:
        parsers = {
            "gru4rec": parse_official_params,
            "long_term_interest": parse_flags,
            "ur4rec": parse_stage_flags,
        }
        if name not in parsers:
            known = ", ".join(f"`{key}`" for key in parsers)
            raise ConfigError(f"`--params` is for {known}, not for `{name}`.", remedy="Use `--set section.key=value`.")
        overlays.append(("`--params`", parsers[name](params)))
    file_values = read_yaml(config) if config else {}
    from tfrec.config.run_config import ImpressionRunConfig
    from tfrec.data.dataset import InteractionDataset
    from tfrec.data.impressions.impression_dataset import ImpressionDataset
    from tfrec.process_tuning import keep_freed_memory, use_threads_for_small_operations
    from tfrec.training.experiment import check_dataset, run_experiment
    from tfrec.training.model_store import run_config
    from tfrec.training.run_directory import RunDirectory
    from tfrec.training.run_start import check_splits

    overrides = list(assignments or [])
    if data:
        overrides.append(f"data.path={data}")
    if seed is not None:
        overrides.append(f"seed={seed}")
    if not baselines:
        overrides.append("evaluation.baselines=[]")
    effective = run_config(name, file=config if file_values else None, overlays=overlays, assignments=overrides)
    human = console(json_output=json_output)
    if output is None:
        output = Path("runs") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    if dry_run:
        RunDirectory(output).check(overwrite=overwrite, resume=resume)
        if effective.data.path is not None:
            if isinstance(effective, ImpressionRunConfig):
                check_splits(ImpressionDataset.open(effective.data.path), effective)
            else:
                check_dataset(InteractionDataset.open(effective.data.path), effective)
        human.print(f"Would train {name} and write `{output}`. Effective configuration:", markup=False)
        human.print(dump_yaml(effective), markup=False, end="")
        if json_output:
            print_json({"output": str(output), "config": effective.model_dump(mode="json")})
        return
    keep_freed_memory()
    if name == "gru4rec":
        use_threads_for_small_operations()
    human.print(f"Run directory: {output}", markup=False)
    metrics = run_experiment(effective, output, human, overwrite=overwrite, resume=resume, replayed=replayed)
    if json_output:
        print_json({"output": str(output), **metrics})


if __name__ == "__main__":
    sys.exit(run_command(main))
