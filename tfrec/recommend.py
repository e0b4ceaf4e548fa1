"""`python -m tfrec.recommend`: the next items for a user or a session, from a run directory."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from tfrec.command import DebugFlag, JsonFlag, console, make_table, print_json, run_command
from tfrec.errors import ConfigError

_SHOWN_EVENTS = 10


def main(
    run: Annotated[Path, typer.Option(help="Run directory of `tfrec.train`.")],
    user: Annotated[
        str | None,
        typer.Option(help="Raw id of a user (or session) of the data; its latest events are the history."),
    ] = None,
    items: Annotated[
        str | None, typer.Option(help="Or raw ids of items of the history, oldest first, separated by commas.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items to recommend.")] = 10,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Also recommend items of the history; by default they are left out.")
    ] = False,
    exclude_seen: Annotated[bool, typer.Option("--exclude-seen", hidden=True)] = False,
    data: Annotated[
        str | None, typer.Option(help="Dataset to find the user in. Default: the one of the run.", show_default=False)
    ] = None,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Prints the k best next items for a user or after some items, with their scores and, where known, titles.

    Finding a user takes one pass over the ids of a split: about half a second per 100,000 users.

    Example: `python -m tfrec.recommend --run RUN --user 42 -k 10`
    """
    del debug
    if (user is None) == (items is None):
        raise ConfigError(
            "`--user` and `--items` exclude each other." if user is not None else "Nothing to recommend after.",
            remedy="Give one of them: --user ID or --items ID,ID.",
        )
    if include_seen and exclude_seen:
        raise ConfigError("`--include-seen` and `--exclude-seen` exclude each other.", remedy="Give one of them.")
    session = [part.strip() for part in (items or "").split(",") if part.strip()]
    if user is None and not session:
        raise ConfigError("`--items` is empty.", remedy="Give at least one item id, e.g. --items 214716935.")
    from tfrec.data.event_history import named_history, user_history
    from tfrec.training.model_store import load_run
    from tfrec.training.top_items import top_items

    loaded = load_run(run)
    dataset = loaded.open_dataset(data)
    vocabulary = dataset.item_vocabulary
    history = named_history(vocabulary, session) if user is None else user_history(dataset, user)
    ranked = top_items(
        loaded.model,
        vocabulary,
        history,
        k,
        include_seen=include_seen,
        with_users="user" in dataset.manifest.vocabularies,
    )
    titles = dataset.item_features().titles if dataset.has_item_features else None
    human = console(json_output=json_output)
    if history.unknown:
        human.print(f"Not in the training data, passed over: {', '.join(history.unknown)}", markup=False)
    raw = vocabulary.raw(history.items)
    if json_output:
        print_json(
            {
                "user": user,
                "split": history.split,
                "history": [_entry(*pair, titles) for pair in zip(raw, history.items, strict=True)],
                "recommendations": [{**_entry(top.item, top.index, titles), "score": top.score} for top in ranked],
                "unknown": history.unknown,
            }
        )
        return
    shown = list(zip(raw, history.items, strict=True))[-_SHOWN_EVENTS:]
    events = "; ".join(_name(item, index, titles) for item, index in shown)
    before = "... " if len(raw) > len(shown) else ""
    who = f"User {user}, {len(raw)} events in {history.split}: " if user is not None else "After "
    human.print(f"{who}{before}{events}", markup=False, soft_wrap=True)
    columns = ["rank", "item", *(["title"] if titles is not None else []), "score"]
    human.print(make_table(f"{len(ranked)} recommendations", columns, list(_rows(ranked, titles))))


def _entry(item: Any, index: int, titles: Any) -> dict[str, Any]:
    return {"item": item} if titles is None else {"item": item, "title": titles[index] or None}


def _name(item: Any, index: int, titles: Any) -> str:
    title = "" if titles is None else titles[index]
    return title or ("(unknown item)" if item is None else str(item))


def _rows(ranked: Iterable[Any], titles: Any) -> Iterable[list[object]]:
    for rank, top in enumerate(ranked, start=1):
        cells = [str(top.item), *([titles[top.index]] if titles is not None else [])]
        yield [rank, *(escape(cell) for cell in cells), top.score]


if __name__ == "__main__":
    sys.exit(run_command(main))
