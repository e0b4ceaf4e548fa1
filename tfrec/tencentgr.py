"""`python -m tfrec.tencentgr`: the advertising challenge of 2025, from its files to ten creatives per test user."""

from __future__ import annotations

import enum
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfrec.command import DebugFlag, JsonFlag, console, print_json, run_command, written_options
from tfrec.errors import ConfigError, DataError


class Action(str, enum.Enum):
    """What to do."""

    GENERATE = "generate"
    PREPARE = "prepare"
    INFER = "infer"


_LONG = ("settings", "epochs")
"""Parts of the file about semantic ids that are not printed."""


def main(
    context: typer.Context,
    action: Annotated[
        Action,
        typer.Argument(
            help="generate: write files in the format of the challenge; prepare: turn them into a dataset; infer: "
            "recommend to the test users. Options below the name of an action are of that action."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Directory to write.")],
    users: Annotated[int, typer.Option(min=1, help="Training users.", rich_help_panel="generate")] = 1000,
    test_users: Annotated[int, typer.Option(min=1, help="Test users.", rich_help_panel="generate")] = 200,
    items: Annotated[int, typer.Option(min=2, help="Items.", rich_help_panel="generate")] = 500,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the world or of semantic ids.", rich_help_panel="generate and prepare")
    ] = 0,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="prepare: files of the challenge, or its public copy in Parquet; infer: what prepare wrote.",
            rich_help_panel="prepare and infer",
        ),
    ] = None,
    test_from: Annotated[
        Path | None,
        typer.Option(
            help="Files of the challenge with the test users and candidates, where they are not beside those of "
            "training. infer: users that prepare did not see; candidates that it did not see are left out.",
            rich_help_panel="prepare and infer",
        ),
    ] = None,
    vectors: Annotated[
        str, typer.Option(help="Vectors of creatives, by feature id, with commas.", rich_help_panel="prepare")
    ] = "81",
    semantic_ids: Annotated[
        bool,
        typer.Option(
            "--semantic-ids",
            help="Learn semantic ids of the first vectors, which become item features.",
            rich_help_panel="prepare",
        ),
    ] = False,
    codes: Annotated[
        str, typer.Option(help="Codes of each level of the semantic ids.", rich_help_panel="prepare")
    ] = "64,64,64",
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="How semantic ids are learned (keys of RQVAEConfig; hidden=[128,64] and latent_dim=32 if not given), "
            "e.g. assignment=balanced, codebook=gradient, epochs=40.",
            rich_help_panel="prepare",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where an interrupted preparation stopped.", rich_help_panel="prepare"),
    ] = False,
    run: Annotated[Path | None, typer.Option(help="Run directory of tfrec.train.", rich_help_panel="infer")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Hidden events, to be scored against.", rich_help_panel="infer")
    ] = None,
    only_cold: Annotated[
        bool,
        typer.Option("--only-cold", help="Recommend only creatives without training events.", rich_help_panel="infer"),
    ] = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Reads, or makes up, the data of the challenge, and writes what its platform expects.

    Example: `python -m tfrec.tencentgr prepare --from RAW --output DATA --semantic-ids`
    """
    del debug
    document: dict[str, Any]
    _check(context, action)
    if action is Action.GENERATE:
        from tfrec.data.competition.generator import generate_competition
        from tfrec.data.competition.world import WorldSize

        size = WorldSize(users, test_users, items, topics=max(2, round(items**0.5)), seed=seed)
        world = generate_competition(output, size)
        document = {"users": users, "test_users": test_users, "items": items, "events": len(world.item)}
    elif source is None:
        raise ConfigError(f"`{action.value}` needs --from.", remedy="Name the directory to read.")
    elif action is Action.PREPARE:
        written = {option.opts[0] for option in written_options(context)}
        for flag in () if semantic_ids else sorted({"--set", "--codes"} & written):
            raise ConfigError(f"`{flag}` is about semantic ids.", remedy="Pass --semantic-ids, or leave it out.")
        chosen = [f"codebook_sizes=[{codes}]", *(set or [])] if semantic_ids else None
        document = _prepare(
            source, output, tuple(filter(None, vectors.split(","))), chosen, seed, test_from, resume=resume
        )
    elif run is None:
        raise ConfigError("`infer` needs --run.", remedy="Name the run directory of tfrec.train.")
    elif truth is not None and not truth.is_file():
        raise DataError("There is no such file.", file=truth, remedy="Check --truth.")
    else:
        from tfrec.training.challenge_answers import answer_challenge, read_truth, score_answers

        hidden = None if truth is None else read_truth(truth)
        answers = answer_challenge(run, source, output, test=test_from, only_cold=only_cold, truth=hidden)
        document = {"users": len(answers.user_list), "candidates_per_user": min(map(len, answers.top10s), default=0)}
        if answers.remarks:
            document["remarks"] = answers.remarks
        if hidden is not None:
            document |= score_answers(output, hidden, source)
    if json_output:
        print_json({"output": str(output), **document})
        return
    human = console(json_output=False)
    health = document.pop("semantic_ids", None)
    for name, value in document.items():
        human.print(f"{name}: {value}", markup=False)
    if health is not None:
        from tfrec.evaluation.print_codebook_health import print_codebook_health

        print_codebook_health(health, human)
    human.print(f"Written to {output}.", markup=False)


def _check(context: typer.Context, action: Action) -> None:
    """Raises ConfigError for an option of another action; the panel that an option stands in says whose it is."""
    for option in written_options(context):
        panel = getattr(option, "rich_help_panel", None)
        if panel and action.value not in panel.split():
            raise ConfigError(
                f"`{option.opts[0]}` has no effect on `{action.value}`.", remedy=f"Leave it out; it is of {panel}."
            )


def _prepare(
    source: Path,
    output: Path,
    vectors: tuple[str, ...],
    settings: list[str] | None,
    seed: int,
    test: Path | None,
    *,
    resume: bool,
) -> dict[str, Any]:
    from tfrec.config.load import load_section
    from tfrec.config.rqvae_config import RQVAEConfig
    from tfrec.data.competition.preparation import prepare_competition
    from tfrec.data.semantic_ids import HEALTH_FILE

    if settings is not None and not vectors:
        raise ConfigError("Semantic ids are made of vectors.", remedy="Name a family with --vectors.")
    base = ("the defaults of semantic ids", {"hidden": [128, 64], "latent_dim": 32})
    config = load_section(RQVAEConfig, settings or [], base=base)

    def learn(ids: Any, matrix: Any, folder: Path) -> None:
        from tfrec.training.fit_rqvae import fit_rqvae, write_semantic_ids

        fitted = fit_rqvae(matrix, config, seed=seed, log_dir=folder / "tensorboard")
        write_semantic_ids(fitted, ids, matrix, folder)

    wanted = None if settings is None else learn
    told = "" if settings is None else json.dumps([seed, config.model_dump(mode="json")])
    found = prepare_competition(
        source, output, vectors=vectors, semantic_ids=wanted, test=test, settings=told, resume=resume
    )
    if settings is None:
        return found.__dict__
    health = json.loads((output / "semantic_ids" / HEALTH_FILE).read_text(encoding="utf-8"))
    return {**found.__dict__, "semantic_ids": {name: health[name] for name in health if name not in _LONG}}


if __name__ == "__main__":
    sys.exit(run_command(main))
