"""RedisExporter: the vectors of a pushed model into Redis."""

from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import ModelRun, PushedModel

from tfrec.errors import ConfigError
from tfrec.stores.model_vectors import ModelVectors, user_splits
from tfrec.stores.publish_model import publish_model
from tfrec.stores.redis.redis_store import RedisVectorStore
from tfrec.stores.store_errors import VectorsMismatchError
from tfrec.stores.vector_description import Kind
from tfrec.training.model_store import load_run
from tfx_pipeline.components.artifact_files import write_note
from tfx_pipeline.trainer_module import DATASET, RUN

PUBLICATION = "publication.json"
_KINDS: tuple[Kind, ...] = ("items", "users")


class PublishedVectors(Artifact):
    """What is live in a store: `publication.json`."""

    TYPE_NAME = "PublishedVectors"


@component
def RedisExporter(  # type: ignore[no-untyped-def]
    model_run: InputArtifact[ModelRun],
    pushed_model: InputArtifact[PushedModel],
    vectors: OutputArtifact[PublishedVectors],
    server: Parameter[str],
    occasion: Parameter[str],
):
    """Publishes item and user vectors of a model that was pushed, and nothing of any other.

    Vectors that are live already are not written again, so an interrupted run can be repeated.

    Args:
        model_run: Output `model_run` of the Trainer.
        pushed_model: Output `pushed_model` of VersionPusher.
        vectors: Gets `publication.json`.
        server: The server without its password. The URL itself is read from the environment variable
            `TFREC_REDIS_URL`, so that no password gets into the metadata; it must be of this server.
        occasion: Differs from run to run, so that the publication is never taken from the cache.
    """
    del occasion
    if int(pushed_model.get_int_custom_property("pushed") or 0) != 1:
        write_note(vectors, PUBLICATION, {"published": False, "reason": "The model was not pushed."})
        return
    store = RedisVectorStore()
    if store.address.shown != server:
        raise ConfigError(
            f"The environment names the Redis server {store.address.shown}, the pipeline was made for {server}.",
            remedy="Run the pipeline with the same --redis or TFREC_REDIS_URL that it was made with.",
        )
    run = Path(model_run.uri)
    write_note(vectors, PUBLICATION, publish(run / RUN, run / DATASET, store))
    vectors.set_string_custom_property("server", server)


def publish(run: Path, dataset: Path, store: RedisVectorStore) -> dict[str, Any]:
    """Publishes the vectors of a run unless they are live.

    Args:
        run: The run directory.
        dataset: Its dataset directory.
        store: Where to.

    Returns:
        `published`, `new`, `server` and per kind `version`, `count`, `dim`.
    """
    loaded = load_run(run)
    opened = loaded.open_dataset(str(dataset))
    vectors = ModelVectors(loaded, opened, user_splits(opened, "latest"))
    store.check_server()
    live = {kind: _origin(store, kind) for kind in _KINDS}
    new = any(live[kind] != vectors.describe(kind).origin for kind in _KINDS)
    if new:
        publish_model(store, vectors, _KINDS, lambda stage, kind, done, total: None)
    headers = [store.read_header(kind) for kind in _KINDS]
    return {
        "published": True,
        "new": new,
        "server": store.address.shown,
        "vectors": {header.kind: header.model_dump(include={"version", "count", "dim"}) for header in headers},
    }


def _origin(store: RedisVectorStore, kind: Kind) -> str:
    try:
        return store.read_header(kind).origin
    except VectorsMismatchError:
        return ""
