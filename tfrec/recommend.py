"""`python -m tfrec.recommend`: the next items for a session, from a run directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tfrec.command import DebugFlag, JsonFlag, console, make_table, print_json, run_command
from tfrec.errors import ConfigError


def main(
    run: Annotated[Path, typer.Option(help="Run directory of `tfrec.train`.")],
    items: Annotated[str, typer.Option(help="Items of the session so far, oldest first, separated by commas.")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many items to recommend.")] = 10,
    exclude_seen: Annotated[bool, typer.Option("--exclude-seen", help="Leave out the items of the session.")] = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Prints the k best next items for a session, with their scores.

    Example: `python -m tfrec.recommend --run RUN --items 214716935,214832672 -k 10`
    """
    from tfrec.training.model_store import load_run
    from tfrec.training.top_items import top_items

    session = [part.strip() for part in items.split(",") if part.strip()]
    if not session:
        raise ConfigError("`--items` is empty.", remedy="Give at least one item id, e.g. --items 214716935.")
    loaded = load_run(run)
    vocabulary = loaded.open_dataset().item_vocabulary
    top = top_items(loaded.model, vocabulary, session, k, exclude_seen=exclude_seen)
    human = console(json_output=json_output)
    if top.unknown:
        human.print(f"Not in the training data, passed over: {', '.join(top.unknown)}", markup=False)
    if json_output:
        recommendations = [{"item": item, "score": score} for item, score in top.ranked]
        print_json({"recommendations": recommendations, "unknown": top.unknown})
        return
    rows = [(rank, str(item), score) for rank, (item, score) in enumerate(top.ranked, start=1)]
    human.print(make_table(f"After {', '.join(session)}", ["rank", "item", "score"], rows))


if __name__ == "__main__":
    sys.exit(run_command(main))
