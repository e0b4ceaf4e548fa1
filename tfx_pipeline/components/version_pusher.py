"""The Pusher: a blessed model becomes a version that TensorFlow Serving takes up."""

import re
import shutil
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing, PushedModel
from tfx.utils import path_utils

from tfrec.errors import DataError
from tfrec.files import write_json
from tfrec.serving.export_document import CARD_FILE, EXPORT_FILE, read_export
from tfrec.serving.version_directory import VersionDirectory
from tfx_pipeline.components.artifact_files import is_blessed, read_note, write_note
from tfx_pipeline.components.golden_replay import REPORT
from tfx_pipeline.latest_pushed_model import MODEL_ID

PUSH = "push.json"


@component
def VersionPusher(  # type: ignore[no-untyped-def]
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    pushed_model: OutputArtifact[PushedModel],
    destination: Parameter[str],
    keep: Parameter[int],
    again: Parameter[int],
    occasion: Parameter[str],
):
    """Copies a model that both blessings let pass into a directory of versions, which shows it whole or not at all.

    The number of the version is one above the largest. A model that is the newest version already is not pushed twice,
    so an interrupted run can be repeated. A model that was rolled back there stays out.

    Args:
        model: Output `model` of the Trainer.
        model_blessing: Output `blessing` of the Evaluator.
        infra_blessing: Output `blessing` of GoldenReplay.
        pushed_model: Gets the properties of TFX's Pusher (`pushed`, `pushed_destination`, `pushed_version`) and
            `push.json`.
        destination: The directory of all versions.
        keep: How many versions to keep; 0 = all.
        again: Whether (1) a model that was rolled back is pushed all the same.
        occasion: Differs from run to run, so that the push is never taken from the cache: what lies in the destination
            is not known to TFX.
    """
    del occasion
    blessings = {"the Evaluator": model_blessing, "the replay of golden requests": infra_blessing}
    missing = [name for name, blessing in blessings.items() if not is_blessed(blessing)]
    source, replay = Path(path_utils.serving_model_path(model.uri)), read_note(infra_blessing.uri, REPORT)
    name = read_export_or_nothing(source).get("model")
    if missing:
        reason = f"Not blessed by {' and '.join(missing)}."
        write_note(pushed_model, PUSH, {"pushed": False, "model": name, "reason": reason})
        pushed_model.set_int_custom_property("pushed", 0)
        return
    withdrawn = None if again else parked_copy(source, Path(destination))
    if withdrawn is not None:
        reason = f"It was rolled back: version {withdrawn} of {destination}. To push it again, pass --push-again."
        write_note(pushed_model, PUSH, {"pushed": False, "model": name, "reason": reason})
        pushed_model.set_int_custom_property("pushed", 0)
        return
    found = push(source, Path(destination), replay, keep=keep)
    write_note(pushed_model, PUSH, {"pushed": True, "model": name, **found})
    pushed_model.set_int_custom_property("pushed", 1)
    pushed_model.set_int_custom_property(MODEL_ID, model.id)
    pushed_model.set_string_custom_property("pushed_destination", found["path"])
    pushed_model.set_string_custom_property("pushed_version", str(found["version"]))


def push(source: Path, destination: Path, replay: dict[str, Any], *, keep: int = 0) -> dict[str, Any]:
    """Publishes an exported model as the next version.

    Args:
        source: The exported model.
        destination: The directory of all versions.
        replay: What the replay of the golden requests found.
        keep: How many versions to keep; 0 = all.

    Returns:
        `version`, `path`, `new` (false when it was the newest version already) and `removed` versions.
    """
    directory = VersionDirectory(destination)
    export = read_export(source)
    versions = directory.versions()
    if versions and _same(read_export_or_nothing(directory.folder(versions[-1])), export):
        return {"version": versions[-1], "path": str(directory.folder(versions[-1])), "new": False, "removed": []}
    verified = {key: replay[key] for key in ("requests", "seconds") if key in replay}
    numbers: list[int] = []

    def finish(folder: Path, number: int) -> None:  # others may have published meanwhile
        write_json(folder / EXPORT_FILE, {**export, "version": number, "verified": verified or None})
        card = folder / CARD_FILE
        title = re.sub(r"version \d+", f"version {number}", card.read_text(encoding="utf-8"), count=1)
        card.write_text(title, encoding="utf-8")
        numbers.append(number)

    with directory.new_version(finish=finish) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    removed = directory.prune(keep) if keep else []
    return {"version": numbers[0], "path": str(directory.folder(numbers[0])), "new": True, "removed": removed}


def parked_copy(source: Path, destination: Path) -> int | None:
    """Returns the number of the version of an exported model that was rolled back, or None.

    A model that is the newest version again was wanted again.

    Args:
        source: The exported model.
        destination: The directory of all versions.
    """
    directory, export = VersionDirectory(destination), read_export(source)
    versions = directory.versions()
    if versions and _same(read_export_or_nothing(directory.folder(versions[-1])), export):
        return None
    for version in reversed(directory.parked()):
        if _same(read_export_or_nothing(directory.parked_folder(version)), export):
            return version
    return None


def read_export_or_nothing(folder: Path) -> dict[str, Any]:
    """Returns `export.json` of a version, or nothing for one that this tfrec did not export."""
    try:
        return read_export(folder)
    except DataError:
        return {}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two exports are copies of one: they agree in all but what pushing changes."""
    changed = ("version", "verified")
    kept = [{key: value for key, value in export.items() if key not in changed} for export in (one, other)]
    return kept[0] == kept[1]
