"""`python -m tfrec.publish`: user and item vectors to Redis, or to files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfrec.command import DebugFlag, DryRunFlag, JsonFlag, console, make_table, print_json, run_command
from tfrec.errors import ConfigError, did_you_mean

_KINDS = {"users": ["users"], "items": ["items"], "both": ["items", "users"], "memories": ["memories"]}
_FORMATS = ("float32", "float16", "json")


def main(
    run: Annotated[Path | None, typer.Option(help="Run directory of `tfrec.train`.")] = None,
    redis: Annotated[
        str | None,
        typer.Option(
            help="redis://, rediss:// (TLS) or unix:// URL with user, password and database. Default: the environment "
            "variable TFREC_REDIS_URL, which keeps the password out of the process list.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Directory for vectors.npy and ids.parquet of each kind, not Redis.")
    ] = None,
    what: Annotated[str, typer.Option(help="users, items, both, or memories of users.")] = "both",
    format: Annotated[str, typer.Option("--format", help="float32, float16 (bytes) or json (lists).")] = "float32",
    prefix: Annotated[
        str | None,
        typer.Option(
            help="What keys begin with, {prefix} in the template. Default: tfrec; for keys without versions "
            "tfrec-plain, so that they do not replace the versioned vectors.",
            show_default=False,
        ),
    ] = None,
    key_template: Annotated[
        str,
        typer.Option(
            help="Keys, of {prefix}, {kind}, {version} and {id}. Without {version}, e.g. user:{id}, old vectors are "
            "overwritten one by one and there is no rollback."
        ),
    ] = "{prefix}:{kind}:{version}:{id}",
    ttl: Annotated[int, typer.Option(min=0, help="Seconds until a version expires; 0: never.")] = 0,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set whose users are encoded, with --what users also one of new users and items, converted "
            "with the same columns. Default: that of the run.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Split with the histories of the users; latest: each user's latest of all splits.")
    ] = "latest",
    normalise: Annotated[bool, typer.Option("--normalise", help="Scale vectors to length 1.")] = False,
    append_bias: Annotated[
        bool, typer.Option("--append-bias", help="Item vectors end with the bias, user vectors with 1.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, max=100_000, help="Keys per command of Redis.")] = 1000,
    keep: Annotated[int, typer.Option(min=1, help="Versions kept, the live one included.")] = 2,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted publication of the same vectors.")] = True,
    retry_seconds: Annotated[
        float, typer.Option(min=0, help="How long a server that broke off is waited for (5 s if it never answered).")
    ] = 120.0,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Make the version before the live one live again; needs no --run.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove all versions but --keep of them; needs no --run.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace vectors in the directory of --to.")] = False,
    dry_run: DryRunFlag = False,
    json_output: JsonFlag = False,
    debug: DebugFlag = False,
) -> None:
    """Publishes vectors under a new version, verifies it, and makes it live in one step.

    Readers see the old version until then, and a failure leaves it live. Run the same command again after a crash: it
    goes on where it stopped.

    Example: `python -m tfrec.publish --run RUN --redis redis://localhost:6379/0`
    """
    del debug
    for flag, value, known in (("--what", what, _KINDS), ("--format", format, _FORMATS)):
        if value not in known:
            raise ConfigError(f"Unknown `{flag} {value}`.", remedy=did_you_mean(value, known))
    human = console(json_output=json_output)
    kinds = _KINDS[what]
    if rollback or prune:
        if (rollback and prune) or to is not None or run is not None:
            raise ConfigError("`--rollback` and `--prune` stand alone.", remedy="Leave out --run, --to and the other.")
        store = _store(redis, key_template, prefix)
        document = _roll_back(store, kinds, human, dry_run) if rollback else _prune(store, kinds, keep, human, dry_run)
    elif run is None:
        raise ConfigError("Which model is to be published?", remedy="Pass --run RUN.")
    else:
        if to is not None and redis is not None:
            raise ConfigError("`--to` and `--redis` exclude each other.", remedy="Give one of them.")
        options = {
            "encoding": format,
            "ttl_seconds": ttl,
            "keys_per_command": batch,
            "keep": keep,
            "resume": resume,
            "retry_seconds": retry_seconds,
        }
        store = None if to is not None else _store(redis, key_template, prefix, **options)
        from tfrec.stores.model_vectors import ModelVectors, user_splits
        from tfrec.training.model_store import load_run

        loaded = load_run(run)
        if kinds == ["users"]:
            dataset, translation = loaded.open_histories(data)
        else:
            dataset, translation = loaded.open_dataset(data), None
        if translation is not None:
            for name, count in translation.unknown.items():
                if count:
                    human.print(f"{count:,} values of `{name}` are unknown to the model.", style="yellow", markup=False)
        splits = user_splits(dataset, split)
        vectors = ModelVectors(
            loaded, dataset, splits, translation=translation, normalise=normalise, append_bias=append_bias
        )
        if dry_run:
            document = _dry_run(vectors, kinds, store, to, human)
        elif to is not None:
            document = _write(vectors, kinds, to, overwrite, human)
        else:
            document = _publish(vectors, kinds, store, human)
    if json_output:
        print_json(document)


def _store(url: str | None, key_template: str, prefix: str | None, **options: Any) -> Any:
    from tfrec.stores.redis.key_template import KeyTemplate
    from tfrec.stores.redis.publish_settings import PublishSettings
    from tfrec.stores.redis.redis_store import RedisVectorStore

    template = KeyTemplate(key_template, prefix)
    return RedisVectorStore(url, template=template, settings=PublishSettings(**options))


def _publish(vectors: Any, kinds: Any, store: Any, human: Any) -> dict[str, Any]:
    from tfrec.stores.publish_model import publish_model
    from tfrec.stores.publish_progress import publish_progress

    if not store.template.versioned:
        human.print("Keys without versions: readers meet old and new vectors while this runs.", style="yellow")
    with publish_progress(human) as report:
        published = publish_model(store, vectors, kinds, report)
    rows, entries = [], []
    rate = sum(one.written for one in published) / published[0].seconds  # of all kinds together
    for one in published:
        header = one.header
        rows.append([header.kind, f"{header.count:,}", header.dim, header.encoding, header.version])
        entries.append(
            {
                **header.model_dump(include={"kind", "version", "count", "dim", "encoding", "model", "model_version"}),
                **header.model_dump(include={"checksum", "key_head", "key_tail", "expires_at"}),
                "previous": one.previous,
                "written": one.written,
                "resumed": one.resumed,
                "value_bytes": one.value_bytes,
                "seconds": one.seconds,
                "vectors_per_second": rate,
                "reconnections": one.reconnections,
                "pruned": one.pruned,
            }
        )
        if one.resumed:
            human.print(f"{one.resumed:,} {header.kind} vectors of an interrupted publication were taken over.")
        if one.pruned and store.template.versioned:  # of plain keys only records go, which nobody misses
            human.print(f"Removed versions of {header.kind}: {', '.join(one.pruned)}", markup=False)
    columns = ["vectors", "count", "dim", "format", "live version"]
    human.print(make_table(f"Published to {store.address.shown}", columns, rows))
    human.print(f"{published[0].seconds:.1f} s for all kinds together, {rate:,.0f} vectors/s")
    return {"redis": store.address.shown, "published": entries}


def _write(vectors: Any, kinds: list[str], to: Path, overwrite: bool, human: Any) -> dict[str, Any]:
    from tfrec.stores.publish_model import write_users
    from tfrec.stores.publish_progress import publish_progress
    from tfrec.stores.vector_directory import VectorDirectoryWriter

    entries = []
    with publish_progress(human) as report:
        for kind in kinds:
            path = to / kind
            if kind in ("items", "memories"):
                source = vectors.items() if kind == "items" else vectors.memories()
                about = source.description
                with VectorDirectoryWriter(path, about, overwrite=overwrite) as writer:
                    writer.write(source.ids(0, about.count), source.vectors(0, about.count))
            else:
                about = write_users(vectors, path, report, overwrite=overwrite)
            entries.append({"path": str(path), **about.model_dump()})
    for entry in entries:
        human.print(f"{entry['count']:,} {entry['kind']} vectors of {entry['dim']} in {entry['path']}", markup=False)
    return {"written": entries}


def _dry_run(vectors: Any, kinds: list[str], store: Any, to: Path | None, human: Any) -> dict[str, Any]:
    entries = []
    for kind in kinds:
        about = vectors.describe(kind)
        entry: dict[str, Any] = {**about.model_dump(include={"kind", "count", "dim", "id_type", "model"})}
        where = str(to / kind) if to is not None else ""
        if store is not None:
            head, tail = store.template.parts(kind, "VERSION")
            entry["key"] = where = f"{head}ID{tail}"
            entry["live"] = store.live_versions().get(kind)
        human.print(f"Would write {about.count:,} {kind} vectors of {about.dim} to {where}.", markup=False)
        entries.append(entry)
    return {"dry_run": True, "would_write": entries}


def _roll_back(store: Any, kinds: list[str], human: Any, dry_run: bool) -> dict[str, Any]:
    live = store.live_versions()
    newest = store.newest_kinds()
    chosen = [kind for kind in kinds if kind in newest] if len(kinds) > 1 else kinds  # of both: what was published last
    if not chosen:
        raise ConfigError("Nothing is published below this prefix.", remedy="Name the --prefix of the publication.")
    if dry_run:
        done = [{"kind": kind, "withdrawn": live.get(kind), "live": None} for kind in chosen]
        for entry in done:
            human.print(f"Would withdraw version {entry['withdrawn']} of the {entry['kind']} vectors.", markup=False)
    else:
        pairs = zip(chosen, store.rollback(chosen), strict=True)
        done = [{"kind": kind, "withdrawn": withdrawn, "live": now} for kind, (withdrawn, now) in pairs]
        for entry in done:
            text = (
                f"The {entry['kind']} vectors are back at version {entry['live']}; {entry['withdrawn']} is withdrawn."
            )
            human.print(text, markup=False, soft_wrap=True)
        for kind in sorted(live.keys() - set(chosen)):
            human.print(f"The {kind} vectors stay at version {live[kind]}.", markup=False, soft_wrap=True)
        if len(set(store.live_models().values())) > 1:
            human.print("WARNING: users and items are now of different models: compare only vectors of one model.")
    return {"redis": store.address.shown, "dry_run": dry_run, "rolled_back": done}


def _prune(store: Any, kinds: list[str], keep: int, human: Any, dry_run: bool) -> dict[str, Any]:
    done = []
    for kind in kinds:
        removed = store.prune(kind, keep, dry_run=dry_run)
        word = "Would remove" if dry_run else "Removed"
        names = ", ".join(removed) or "nothing"
        human.print(f"{word} from the {kind} vectors: {names}.", markup=False, soft_wrap=True)
        done.append({"kind": kind, "removed": removed})
    return {"redis": store.address.shown, "dry_run": dry_run, "pruned": done}


if __name__ == "__main__":
    sys.exit(run_command(main))
