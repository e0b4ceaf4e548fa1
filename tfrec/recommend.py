"""`python -m tfrec.recommend`: the next items for a user or a session, from a run directory or a model server."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from tfrec.command import DebugFlag, JsonFlag, console, make_table, print_json, run_command
from tfrec.errors import ConfigError

if TYPE_CHECKING:
    from tfrec.serving.recommendations import Recommendations, ShownItem

_SHOWN_EVENTS = 10


def main(
    run: Annotated[Path | None, typer.Option(help="Run directory of `tfrec.train`.", show_default=False)] = None,
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
    server: Annotated[
        str | None,
        typer.Option(help="Ask this model server instead: grpc://HOST:8500 or http://HOST:8501.", show_default=False),
    ] = None,
    model_name: Annotated[str, typer.Option(help="Name of the model on the server.")] = "recommender",
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Prints the k best next items for a user or after some items, with their scores and, where known, titles.

    Finding a user takes one pass over the ids of a split: about half a second per 100,000 users. With `--server` the
    ranking is the server's; `--run` or `--data` then serve to find a user's history and titles, and may be left out
    with `--items`.

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
    if run is None and server is None:
        raise ConfigError("Nothing to recommend with.", remedy="Give --run RUN, or --server URL of a model server.")
    from tfrec.serving.recommendations import Question, recommend_offline, recommend_served

    question = Question(k, user, session, include_seen)
    if server is not None:
        from tfrec.serving.client import RecommenderClient

        with RecommenderClient(server, model=model_name) as client:
            answer = recommend_served(question, client, run=run, data=data)
    elif run is not None:
        answer = recommend_offline(question, run, data)
    human = console(json_output=json_output)
    if answer.unknown:
        human.print(f"Not in the training data, passed over: {', '.join(answer.unknown)}", markup=False)
    if json_output:
        print_json(
            {
                "user": user,
                "split": answer.split,
                "history": [_entry(shown, answer) for shown in answer.history],
                "recommendations": [{**_entry(shown, answer), "score": shown.score} for shown in answer.ranked],
                "unknown": answer.unknown,
            }
        )
        return
    events = "; ".join(
        shown.title or ("(unknown item)" if shown.item is None else str(shown.item))
        for shown in answer.history[-_SHOWN_EVENTS:]
    )
    before = "... " if len(answer.history) > _SHOWN_EVENTS else ""
    who = f"User {user}, {len(answer.history)} events in {answer.split}: " if user is not None else "After "
    human.print(f"{who}{before}{events}", markup=False, soft_wrap=True)
    columns = ["rank", "item", *(["title"] if answer.has_titles else []), "score"]
    human.print(make_table(f"{len(answer.ranked)} recommendations", columns, list(_rows(answer))))


def _entry(shown: ShownItem, answer: Recommendations) -> dict[str, Any]:
    return {"item": shown.item, "title": shown.title} if answer.has_titles else {"item": shown.item}


def _rows(answer: Recommendations) -> Iterable[list[object]]:
    for rank, shown in enumerate(answer.ranked, start=1):
        cells = [str(shown.item), *([shown.title or ""] if answer.has_titles else [])]
        yield [rank, *(escape(cell) for cell in cells), shown.score]


if __name__ == "__main__":
    sys.exit(run_command(main))
