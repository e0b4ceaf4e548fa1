"""A version that was exported earlier, checked against data and against its own golden requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfrec.data.dataset import InteractionDataset
from tfrec.data.impressions.fields import FieldEncoder
from tfrec.data.impressions.impression_dataset import ImpressionDataset
from tfrec.data.schema import DatasetSchema
from tfrec.errors import DataError, SchemaMismatchError
from tfrec.serving.export_document import CLICKS, SCHEMA_ASSET, read_export
from tfrec.serving.file_digests import damaged_files
from tfrec.serving.fresh_process import verify_export
from tfrec.serving.replay import GOLDEN_FILE
from tfrec.training.impression_experiment import ENCODER_FOLDER
from tfrec.training.model_store import SCHEMA_FILE

_SHOWN = 3
Other = tuple[str, DatasetSchema, str]
"""Data that a version is held against: where they are, their schema, and the hash that must be that of the version."""


def check_export(
    folder: Path, *, data: str | None = None, run: Path | None = None, verify: bool = True
) -> dict[str, Any]:
    """Checks a version: its files against their checksums (but for the model card, which may be added to), its schema.

    Args:
        folder: A version directory.
        data: Data set whose ids and features the version is to be used with.
        run: Run directory whose data the version is to be used with.
        verify: Also replay the golden requests in a fresh process.

    Returns:
        `model`, `version`, `schema_hash`, and `requests`, `seconds` and `ops` of the replay.

    Raises:
        SchemaMismatchError: The data have other features or vocabularies; the message lists every difference.
        DataError: The version is damaged, or not one of tfrec.
        ExportError: The version does not answer as its model.
    """
    export = read_export(folder)
    digests = export.get("files") or {GOLDEN_FILE: export.get("golden_sha256", "")}
    damaged = damaged_files(folder, digests)
    if damaged:
        raise DataError(
            f"{len(damaged)} of {len(digests)} files are not those that were exported, or are missing: "
            f"{', '.join(damaged[:_SHOWN])}{', ...' if len(damaged) > _SHOWN else ''}.",
            file=folder,
            remedy="Export again, or copy the version again from where it was made.",
        )
    schema = _read_schema(folder / SCHEMA_ASSET)
    if schema.hash != export["schema_hash"]:
        raise DataError("The schema is not the one that `export.json` names.", file=folder, remedy="Export again.")
    others = _click_fields(data, run) if export.get("kind") == CLICKS else _schemas(data, run)
    expected = export.get("fields_hash", schema.hash)
    for place, other, found_hash in others:
        if found_hash != expected:
            differences = schema.diff(other) or ["scalings or lengths of lists differ"]
            raise SchemaMismatchError(
                f"Version {folder.name} does not fit these data: {'; '.join(differences)}.",
                file=place,
                remedy="Use the data that the model was trained on, or train and export again.",
            )
    found = {key: export[key] for key in ("model", "version", "schema_hash")}
    if verify:
        report = verify_export(folder)
        found.update({key: report[key] for key in ("requests", "seconds", "ops")})
    return found


def _schemas(data: str | None, run: Path | None) -> list[Other]:
    found = [] if data is None else [(data, InteractionDataset.open(data).schema)]
    found += [] if run is None else [(str(run), _read_schema(run / SCHEMA_FILE))]
    return [(place, schema, schema.hash) for place, schema in found]


def _click_fields(data: str | None, run: Path | None) -> list[Other]:
    found = [] if data is None else [(data, ImpressionDataset.open(data).encoder)]
    found += [] if run is None else [(str(run), FieldEncoder.load(run / ENCODER_FOLDER))]
    return [(place, encoder.schema, encoder.hash) for place, encoder in found]


def _read_schema(path: Path) -> DatasetSchema:
    try:
        return DatasetSchema.from_text(path.read_text(encoding="utf-8"), file=str(path))
    except OSError as error:
        raise DataError("The schema is missing.", file=path, remedy="Pass a version or run of tfrec.") from error
