"""What a search would do, without doing it."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tfrec.tables import make_table
from tfrec.tuning.oracle import TrialOracle, hyperband_plan
from tfrec.tuning.search_settings import SearchSettings
from tfrec.tuning.train_trial import describe

_FIRST_TRIALS = 3


def preview_search(settings: SearchSettings, console: Console) -> dict[str, Any]:
    """Prints the space, the number of combinations and the first trials, which no result decides yet.

    Args:
        settings: The search.
        console: Where to print.

    Returns:
        `settings`, `combinations` (None: a continuum), `num_trials`, `first_trials`.
    """
    space = settings.space
    rows = [[p.key, p.text, p.condition] for p in space.parameters]
    rows += [[key, f"{value} (fixed)", ""] for key, value in space.fixed.items()]
    title = f"Space for {space.model} ({space.source})"
    table = make_table(title, ["setting", "values", "searched only if"], rows)
    for column in table.columns:
        column.overflow = "fold"  # cut keys may all look the same
    console.print(table)
    combinations = space.combinations()
    many = "a continuum of" if combinations is None else f"{combinations:,}"
    searched = f"{many} combinations, {settings.num_trials} trials, {settings.searcher}, seed {settings.seed}"
    console.print(f"{searched}; objective {settings.goal.name} on the validation split ({settings.goal.direction}).")
    longest = settings.longest if settings.searcher == "hyperband" else 1
    if settings.searcher == "hyperband":
        plan = hyperband_plan(longest, settings.factor)
        console.print("One pass: " + ", ".join(f"{trials} trials to epoch {epochs}" for trials, epochs in plan))
    oracle = TrialOracle(
        settings.searcher, space, settings.goal, settings.seed, max_epochs=longest, factor=settings.factor
    )
    first = []
    for _ in range(min(_FIRST_TRIALS, settings.num_trials)):
        record = oracle.propose()
        if record is None:
            break
        settings.trial_config(record.values)
        first.append(record)
        console.print(f"Trial {record.number}: {describe(record.values)}", markup=False, soft_wrap=True)
        record.status = "failed"  # a proposal must end before the next one; nothing is learnt from a failure
        oracle.tell(record)
    return {
        "settings": settings.document(),
        "combinations": combinations,
        "num_trials": settings.num_trials,
        "first_trials": [record.values for record in first],
    }
