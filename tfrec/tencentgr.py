"""`python -m tfrec.tencentgr`: the advertising challenge of 2025, from its files to ten creatives per test user."""

from __future__ import annotations

import enum
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfrec.command import DebugFlag, JsonFlag, console, print_json, run_command
from tfrec.errors import ConfigError, DataError


class Action(str, enum.Enum):
    """What to do."""

    GENERATE = "generate"
    PREPARE = "prepare"
    INFER = "infer"


_LONG = ("settings", "epochs")
"""Parts of the file about semantic ids that are not printed."""

_FLAGS = {
    Action.GENERATE: (),
    Action.PREPARE: ("--from", "--test-from", "--semantic-ids", "--set", "--resume"),
    Action.INFER: ("--from", "--test-from", "--run", "--truth"),
}


def main(
    action: Annotated[
        Action,
        typer.Argument(
            help="generate: write files in the format of the challenge; prepare: turn them into a dataset; infer: "
            "recommend to the test users."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Directory to write.")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="prepare: files of the challenge, or its public copy in Parquet; infer: what prepare wrote."
        ),
    ] = None,
    test_from: Annotated[
        Path | None,
        typer.Option(
            help="Files of the challenge with the test users and candidates, where they are not beside those of "
            "training. infer: users that prepare did not see; candidates that it did not see are left out."
        ),
    ] = None,
    run: Annotated[Path | None, typer.Option(help="infer: run directory of tfrec.train.")] = None,
    truth: Annotated[Path | None, typer.Option(help="infer: hidden events, to be scored against.")] = None,
    vectors: Annotated[str, typer.Option(help="prepare: vectors of creatives, by feature id, with commas.")] = "81",
    semantic_ids: Annotated[
        bool, typer.Option("--semantic-ids", help="prepare: learn semantic ids of the first vectors; item features.")
    ] = False,
    codes: Annotated[str, typer.Option(help="prepare: codes of each level of the semantic ids.")] = "64,64,64",
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="prepare: how semantic ids are learned, e.g. assignment=balanced, codebook=gradient, epochs=40.",
        ),
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="generate: training users.")] = 1000,
    test_users: Annotated[int, typer.Option(min=1, help="generate: test users.")] = 200,
    items: Annotated[int, typer.Option(min=2, help="generate: items.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="generate, prepare: seed.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="prepare: go on where an interrupted preparation stopped.")
    ] = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Reads, or makes up, the data of the challenge, and writes what its platform expects.

    Example: `python -m tfrec.tencentgr prepare --from RAW --output DATA --semantic-ids`
    """
    del debug
    document: dict[str, Any]
    asked = {"--from": source, "--test-from": test_from, "--run": run, "--truth": truth}
    _check(action, {**asked, "--semantic-ids": semantic_ids, "--set": set, "--resume": resume})
    if action is Action.GENERATE:
        from tfrec.data.competition.generator import generate_competition
        from tfrec.data.competition.world import WorldSize

        size = WorldSize(users, test_users, items, topics=max(2, round(items**0.5)), seed=seed)
        world = generate_competition(output, size)
        document = {"users": users, "test_users": test_users, "items": items, "events": len(world.item)}
    elif source is None:
        raise ConfigError(f"`{action.value}` needs --from.", remedy="Name the directory to read.")
    elif action is Action.PREPARE:
        if set and not semantic_ids:
            raise ConfigError("`--set` is about semantic ids.", remedy="Pass --semantic-ids, or leave it out.")
        chosen = [f"codebook_sizes=[{codes}]", *(set or [])] if semantic_ids else None
        document = _prepare(
            source, output, tuple(filter(None, vectors.split(","))), chosen, seed, test_from, resume=resume
        )
    elif run is None:
        raise ConfigError("`infer` needs --run.", remedy="Name the run directory of tfrec.train.")
    elif truth is not None and not truth.is_file():
        raise DataError("There is no such file.", file=truth, remedy="Check --truth.")
    else:
        from tfrec.training.challenge_answers import answer_challenge, score_answers

        answers = answer_challenge(run, source, output, test=test_from)
        document = {"users": len(answers.user_list), "candidates_per_user": min(map(len, answers.top10s), default=0)}
        if answers.remarks:
            document["remarks"] = answers.remarks
        if truth is not None:
            document |= score_answers(output, truth, source)
    if json_output:
        print_json({"output": str(output), **document})
        return
    human = console(json_output=False)
    for name, value in document.items():
        human.print(f"{name}: {value}", markup=False)
    human.print(f"Written to {output}.", markup=False)


def _check(action: Action, asked: dict[str, Any]) -> None:
    """Raises ConfigError for a flag of another action."""
    for flag, value in asked.items():
        if value and flag not in _FLAGS[action]:
            others = [other.value for other, flags in _FLAGS.items() if flag in flags]
            raise ConfigError(
                f"`{flag}` has no effect on `{action.value}`.", remedy=f"Leave it out; it is of {' and '.join(others)}."
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
