"""`python -m tfrec.texts`: texts of items and users, from templates or a language model, and their vectors."""

from __future__ import annotations

import enum
import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfrec.command import DebugFlag, DryRunFlag, JsonFlag, console, print_json, run_command
from tfrec.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from tfrec.data.dataset import InteractionDataset
    from tfrec.text.chat_model import ChatModel
    from tfrec.text.item_metadata import ItemMetadata
    from tfrec.text.prompts import Prompt
    from tfrec.text.texts import Texts

    TextSource = tuple[Texts, dict[str, Any]]


class Action(str, enum.Enum):
    """What to do."""

    TEMPLATE = "template"
    GENERATE = "generate"
    ENCODE = "encode"
    AUDIT = "audit"


class Of(str, enum.Enum):
    """Whose texts."""

    ITEMS = "items"
    USERS = "users"


def main(
    action: Annotated[
        Action,
        typer.Argument(
            help="template: sentences from title, year and categories; generate: ask a language model; encode: texts, "
            "ready vectors or means of item vectors into vectors beside the dataset; audit: do texts of users name "
            "what they are to predict?"
        ),
    ],
    data: Annotated[str, typer.Option(help="Dataset directory of tfrec.convert.")],
    of: Annotated[Of, typer.Option(help="Texts of items, or of users (from training events alone).")],
    output: Annotated[Path | None, typer.Option(help="template, generate: file of texts, .json or .parquet.")] = None,
    category: Annotated[str, typer.Option(help="Item feature that says what an item is. Default: genres.")] = "",
    last: Annotated[
        int | None, typer.Option(min=1, help="Latest training events per user. Default: 20; with --mean-of all.")
    ] = None,
    skip_last: Annotated[
        int, typer.Option(min=0, help="Leave out so many of the latest training events of each user.")
    ] = 0,
    base_url: Annotated[
        str, typer.Option(help="generate: address before /chat/completions.")
    ] = "https://api.openai.com/v1",
    model: Annotated[
        str, typer.Option(help="generate: name of the model; encode: directory or name of the sentence encoder.")
    ] = "",
    key_variable: Annotated[
        str, typer.Option(help="generate: environment variable with the key of the service.")
    ] = "OPENAI_API_KEY",
    cache: Annotated[Path, typer.Option(help="generate: directory that keeps answers.")] = Path("text-cache"),
    parallel: Annotated[int, typer.Option(min=1, max=32, help="generate: requests at a time.")] = 4,
    attempts: Annotated[int, typer.Option(min=1, help="generate: most tries of one request.")] = 5,
    fall_back: Annotated[
        bool, typer.Option("--fall-back", help="generate: take the template where there is no answer.")
    ] = False,
    name: Annotated[str, typer.Option(help="encode: name of the vectors.")] = "",
    texts: Annotated[Path | None, typer.Option(help="encode, audit: file of texts, .json or .parquet.")] = None,
    vectors: Annotated[Path | None, typer.Option(help="encode: file of ready vectors, .npz or .parquet.")] = None,
    mean_of: Annotated[str, typer.Option(help="encode users: name of the item vectors to take the mean of.")] = "",
    encoder: Annotated[str, typer.Option(help="encode --texts: hashed or sentence-transformers.")] = "hashed",
    dim: Annotated[int, typer.Option(min=8, help="encode, hashed: length of the vectors.")] = 384,
    download: Annotated[bool, typer.Option("--download", help="encode: fetch a sentence encoder.")] = False,
    dry_run: DryRunFlag = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Makes texts of items and users, and the vectors that models read.

    Texts of users are made from the training split and nothing else. Vectors of texts or files that tfrec did not make
    from this dataset are marked as of unknown provenance.

    Example: `python -m tfrec.texts template --data DS --of users --output users.json`, `python -m tfrec.texts encode
    --data DS --of users --name template --texts users.json`
    """
    del debug
    from tfrec.data.dataset import InteractionDataset

    human = console(json_output=json_output)
    dataset = InteractionDataset.open(data)
    if action is Action.AUDIT:
        if texts is None or of is not Of.USERS:
            raise ConfigError("`audit` needs --texts, and --of users.", remedy="Name the file of the users' texts.")
        _audit(dataset, texts, human, json_output=json_output)
        return
    if action is Action.ENCODE:
        chosen = [flag for flag, given in (("texts", texts), ("vectors", vectors), ("mean-of", mean_of)) if given]
        if not name or len(chosen) != 1:
            raise ConfigError(
                "`encode` needs --name and one of --texts, --vectors and --mean-of.",
                remedy=f"Of these came {', '.join(f'--{flag}' for flag in chosen) or 'none'}.",
            )
        encoding = {"name": encoder, "model": model, "dim": dim, "download": download}
        given = texts or vectors or mean_of
        document = _encode(dataset, of, name, chosen[0], given, human, encoding, last, skip_last, dry_run=dry_run)
        _remark_on_unknown(document, of, human)
    else:
        if output is None:
            raise ConfigError(f"`{action.value}` needs --output.", remedy="Name a .json or .parquet file.")
        from tfrec.text.item_metadata import read_item_metadata
        from tfrec.text.texts import check_text_path, write_texts

        check_text_path(output)
        metadata = read_item_metadata(dataset, category=category)
        source: TextSource
        if action is Action.TEMPLATE:
            source = _template(dataset, metadata, of, last or 20, skip_last)
        else:
            if not model:
                raise ConfigError("`generate` needs --model.", remedy="Name a model of the service.")
            from tfrec.text.chat_model import ChatModel, ChatSettings

            chat = ChatModel(ChatSettings(base_url, model, attempts=attempts), key=os.environ.get(key_variable, ""))
            prompts = _prompts(dataset, metadata, of, last or 20, skip_last)
            asking = {"parallel": parallel, "fall_back": fall_back}
            source = _generate(dataset, of, chat, prompts, cache, human, asking, dry_run=dry_run)
        made, document = source
        document = {"output": str(output), "of": of.value, "texts": len(made), **document}
        if made.texts:
            document |= {"provenance": made.provenance, "example": f"{made.ids[0]}: {made.texts[0]}"}
        if not dry_run:
            write_texts(output, made)
    if json_output:
        print_json({**document, "dry_run": dry_run})
        return
    for entry, value in document.items():
        if entry != "source":
            human.print(f"{entry}: {value}", markup=False, soft_wrap=True)
    if dry_run:
        human.print("Nothing was written (--dry-run).")
    elif document.get("provenance") == "unknown" and of is Of.USERS:
        text = "Provenance unknown: nothing says that no valid or test event is in these vectors; reports will say so."
        human.print(text, style="yellow", markup=False, soft_wrap=True)


def _remark_on_unknown(document: dict[str, Any], of: Of, human: Console) -> None:
    """Says that most ids of a file are unknown; it may be a file about everything, so it is no error."""
    given = document["given"]
    unknown = given - document.get("known", given)  # means are of the dataset itself
    if 2 * unknown > given:
        others = Of.USERS if of is Of.ITEMS else Of.ITEMS
        text = (
            f"{unknown:,} of {given:,} ids are of none of the {of.value} of this dataset, and were left out. Is it a "
            f"file of {others.value} (then use --of {others.value}), or one that was made for another log?"
        )
        human.print(text, style="yellow", markup=False, soft_wrap=True)


def _audit(dataset: InteractionDataset, texts: Path, human: Console, *, json_output: bool) -> None:
    from tfrec.command import make_table
    from tfrec.text.text_audit import audit_user_texts
    from tfrec.text.texts import read_texts

    document = audit_user_texts(dataset, read_texts(texts).present())
    if json_output:
        print_json(document)
        return
    rows = [
        [name, f"{row['n']:,}", f"{100 * row['own']:.1f} %", f"{100 * row['others']:.1f} %", f"{row['excess']:.1f}"]
        for name, row in document["rows"].items()
    ]
    title = f"Share of {document['texts']:,} texts that name the title of an event"
    columns = ["event", "n", "of their user", "of another user", "difference in standard errors"]
    human.print(make_table(title, columns, rows))
    for split in document["leaks"]:
        text = f"Leak: the texts know targets of `{split}`. Do not use them to measure on it."
        human.print(text, style="bold red", markup=False, soft_wrap=True)
    if not document["leaks"]:
        human.print("No sign that the texts know a target.", markup=False)


def _template(dataset: InteractionDataset, metadata: ItemMetadata, of: Of, last: int, skip_last: int) -> TextSource:
    from tfrec.text.template import item_templates, user_templates

    if of is Of.ITEMS:
        return item_templates(dataset, metadata), {}
    return user_templates(dataset, metadata, last=last, skip_last=skip_last), {}


def _prompts(dataset: InteractionDataset, metadata: ItemMetadata, of: Of, last: int, skip_last: int) -> list[Prompt]:
    from tfrec.text.prompts import item_prompts, user_prompts

    if of is Of.ITEMS:
        return item_prompts(dataset, metadata)
    return user_prompts(dataset, metadata, last=last, skip_last=skip_last)


def _generate(
    dataset: InteractionDataset,
    of: Of,
    chat: ChatModel,
    prompts: list[Prompt],
    cache: Path,
    human: Console,
    asking: dict[str, Any],
    *,
    dry_run: bool,
) -> TextSource:
    from tfrec.text.generate import generate_texts
    from tfrec.text.text_cache import TextCache
    from tfrec.text.texts import Texts

    answers = TextCache(cache)
    kept = sum(answers.get(chat.request(prompt.messages)) is not None for prompt in prompts)
    document: dict[str, Any] = {"prompts": len(prompts), "in_cache": kept}
    if dry_run:
        return Texts([], []), {**document, "first_prompt": prompts[0].messages if prompts else None}
    source = {"of": of.value, "model": chat.settings.model, "address": chat.address}
    with _bar(human) as progress:
        task = progress.add_task(f"{chat.settings.model}: texts of {of.value}", total=len(prompts))
        advance = functools.partial(progress.advance, task)
        made = generate_texts(chat, prompts, dataset, cache=answers, source=source, progress=advance, **asking)
    return made, {**document, "templates_instead": made.source["templates_instead"]}


def _encode(
    dataset: InteractionDataset,
    of: Of,
    name: str,
    kind: str,
    given: Any,
    human: Console,
    encoding: dict[str, Any],
    last: int | None,
    skip_last: int,
    *,
    dry_run: bool,
) -> dict[str, Any]:
    from tfrec.text.encode import check_source, check_target, encode_texts, take_means, take_vectors

    check_target(dataset, of.value)
    if kind == "mean-of" and of is Of.ITEMS:
        raise ConfigError("`--mean-of` makes vectors of users.", remedy="Use --of users.")
    if kind != "mean-of" and (last is not None or skip_last):
        raise ConfigError(
            "`--last` and `--skip-last` say which events a text or a mean is made of; here are no events.",
            remedy="Give them to `template`, `generate` or with --mean-of.",
        )
    from tfrec.text.text_encoder import make_encoder

    if dry_run:
        if kind == "texts":
            make_encoder(**encoding)
        return {"name": name, "of": of.value, kind: str(given), **check_source(dataset, of.value, name, kind, given)}
    if kind == "vectors":
        return take_vectors(dataset, of.value, name, given)
    if kind == "mean-of":
        return take_means(dataset, name, given, last=last, skip_last=skip_last)
    encoder = make_encoder(**encoding)
    with _bar(human) as progress:
        task = progress.add_task(f"{encoding['name']}: texts of {of.value}", total=None)
        update = functools.partial(progress.update, task)
        return encode_texts(
            dataset, of.value, name, given, encoder, progress=lambda done, total: update(completed=done, total=total)
        )


def _bar(human: Console) -> Progress:
    """Returns a progress bar that leaves nothing behind."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=human, transient=True, disable=not human.is_terminal)


if __name__ == "__main__":
    sys.exit(run_command(main))
