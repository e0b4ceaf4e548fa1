"""The winner, retrained over fresh seeds beside the default configuration."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tfrec.errors import ConfigError, TrainingError
from tfrec.files import write_json
from tfrec.tables import make_table
from tfrec.tuning.best_config import best_values
from tfrec.tuning.search_directory import SearchDirectory
from tfrec.tuning.search_progress import SearchProgress
from tfrec.tuning.search_settings import SearchSettings
from tfrec.tuning.seed_noise import compare_seeds
from tfrec.tuning.train_trial import TrainTrial, objective_of
from tfrec.tuning.trial_record import TrialRecord

WINNER, DEFAULT = "winner", "default"


def confirm(
    settings: SearchSettings,
    folder: SearchDirectory,
    best: TrialRecord,
    console: Console,
    data: str,
    train: TrainTrial,
) -> dict[str, Any]:
    """Trains both configurations with the same seeds, none of which the search has used.

    The score that made the winner is the largest of many and partly luck; the means here are not. A model that only
    counts gives the same for every seed and is trained once.

    Args:
        settings: The search.
        folder: Where its files are; finished trainings of an interrupted call are taken over.
        best: The winner.
        console: For progress and the table.
        data: Dataset directory.
        train: How a configuration is trained and measured.

    Returns:
        `compare_seeds`, with `seeds` and `trial`; also in `confirm.json`.

    Raises:
        TrainingError: The winner failed with another seed.
    """
    random = settings.seeded
    seeds = [settings.seed + number for number in range(1, settings.confirm_seeds + 1)] if random else [settings.seed]
    done = folder.read(folder.confirmation) if folder.confirmation.is_file() else {}
    scores: dict[str, float] = dict(done.get("runs", {})) if done.get("trial") == best.number else {}
    runs = [(name, seed) for seed in seeds for name in (WINNER, DEFAULT)]
    with SearchProgress(console, settings.goal, len(runs), "Confirmation") as progress:
        for name, seed in runs:
            label = f"{name}-{best.number:04d}-seed-{seed}" if name == WINNER else f"{name}-seed-{seed}"
            if label not in scores:
                progress.begin(label)
                values = best_values(best)
                config = (
                    settings.trial_config(values, seed=seed, data=data)
                    if name == WINNER
                    else settings.default_config(seed=seed, data=data)
                )
                try:
                    metrics = train(config, folder.confirmed / label, None, progress.listen)
                    scores[label] = objective_of(metrics, settings.goal)
                except (TrainingError, ConfigError) as error:
                    raise TrainingError(
                        f"The {name} configuration failed with seed {seed}: {error.problem}",
                        remedy="Such a configuration is fragile. Narrow the space, or pass `--confirm-seeds 0`.",
                    ) from error
                write_json(folder.confirmation, {"trial": best.number, "runs": scores})
            progress.count(f"{label}: {settings.goal.name} {scores[label]:.4f}")
    by_name = {
        name: [score for label, score in scores.items() if label.startswith(f"{name}-") and _seed(label) in seeds]
        for name in (WINNER, DEFAULT)
    }
    outcome = compare_seeds(by_name[WINNER], by_name[DEFAULT], settings.goal)
    if not random:
        outcome["verdict"] = "gain" if outcome["gain"] > 0 else "loss" if outcome["gain"] < 0 else "noise"
    document = {"trial": best.number, "objective": settings.goal.name, "seeds": seeds, "runs": scores, **outcome}
    document["random"] = random
    write_json(folder.confirmation, document)
    _print(document, console)
    return document


def verdict_text(document: dict[str, Any]) -> str:
    """Returns the outcome as one sentence."""
    gain = f"{document['gain']:+.4f}"
    if not document["random"]:
        return f"Difference to the default configuration: {gain}; this model does not depend on seeds."
    if document["verdict"] == "unknown":
        why = "one seed says" if len(document["seeds"]) < 2 else "the same scores with every seed say"
        return f"Difference to the default configuration: {gain}; {why} nothing of seed noise."
    interval = f"{100 * document['confidence']:g} % interval {document['low']:+.4f} to {document['high']:+.4f}"
    said = {
        "gain": "The gain exceeds seed noise",
        "loss": "The winner is worse than the default by more than seed noise",
        "noise": "The difference does not exceed seed noise",
    }[document["verdict"]]
    return f"{said}: {gain} ({interval}, {len(document['seeds'])} seeds)."


def seeds_text(document: dict[str, Any]) -> str:
    """Returns with which seeds the scores were measured, in words."""
    seeds = document["seeds"]
    if not document["random"]:
        return f"seed {seeds[0]}, that of the search (it makes no difference)"
    return f"{len(seeds)} fresh seed{'' if len(seeds) == 1 else 's'}"


def _print(document: dict[str, Any], console: Console) -> None:
    rows = [
        [name, document[name]["mean"], "" if document[name]["deviation"] is None else document[name]["deviation"]]
        for name in (WINNER, DEFAULT)
    ]
    title = f"{document['objective']} on the validation split, {seeds_text(document)}"
    console.print(make_table(title, ["configuration", "mean", "std"], rows))
    console.print(verdict_text(document), markup=False, soft_wrap=True)


def _seed(label: str) -> int:
    return int(label.rpartition("-")[2])
