"""The data half of the pipeline: from Parquet logs to checked, transformed examples."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import text_format  # type: ignore[import-untyped]
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components import ExampleValidator, StatisticsGen, Transform
from tfx.dsl.components.common.importer import Importer
from tfx.types import standard_artifacts

from tfrec.config.impression_schema import ImpressionSchema
from tfrec.data.beam.log_pieces import open_sources
from tfrec.data.column_types import find_roles
from tfrec.data.conversion_options import parse_options
from tfrec.data.event_features import check_event_features
from tfrec.data.input_files import find_inputs
from tfrec.errors import ConfigError
from tfx_pipeline.anomaly_gate.checked_schema import CheckedSchema
from tfx_pipeline.anomaly_gate.component import AnomalyGate
from tfx_pipeline.impressions import preprocessing
from tfx_pipeline.impressions.raw_schema import impression_schema, is_impression_schema
from tfx_pipeline.impressions.roles import ROLES, ImpressionTransformSettings, settle_roles
from tfx_pipeline.parquet_example_gen.component import UNUSED, ParquetExampleGen
from tfx_pipeline.parquet_example_gen.input_patterns import FILES, listed, log_globs
from tfx_pipeline.raw_schema import EventLayout, sequence_schema

if TYPE_CHECKING:
    from tfx_pipeline.pipeline_settings import PipelineSettings

PREPROCESSING_FN = "tfx_pipeline.preprocessing.preprocessing_fn"
SCHEMA_FILE = "schema.pbtxt"
_COMMITTED = Path(__file__).parent / "schemas" / "sessions" / SCHEMA_FILE


def data_nodes(settings: PipelineSettings) -> tuple[list[Any], dict[str, Any]]:
    """Returns the nodes from ParquetExampleGen over statistics, validation and AnomalyGate to Transform.

    Args:
        settings: What they are told.

    Returns:
        The components, and the channels `examples`, `transformed`, `graph` and `schema` for the model half.

    Raises:
        ConfigError: Flags of the conversion that the pipeline cannot follow.
        DataError: There is no log, or it lacks a column.
    """
    conversion = settings.conversion
    of_impressions = ROLES in conversion
    if of_impressions:
        conversion = settle_roles(conversion)
    generator = ParquetExampleGen(conversion, settings.transform.code)
    examples = generator.outputs["examples"]
    source = curated_schema(settings.root, conversion)
    schema = schema_importer(source)
    curated = schema.outputs["result"]
    statistics = StatisticsGen(examples=examples, schema=curated)
    validator = ExampleValidator(statistics=statistics.outputs["statistics"], schema=curated)
    gate = AnomalyGate(
        examples=examples,
        statistics=statistics.outputs["statistics"],
        anomalies=validator.outputs["anomalies"],
        schema=curated,
        baseline=(settings.root / "checked_data").absolute(),
        report=(settings.root / "anomalies.txt").absolute(),
        bounds=settings.anomalies,
        occasion=settings.occasion,
    )
    recorder = CheckedSchema(examples=examples, schema=curated)
    recorder.add_upstream_node(gate)
    checked = recorder.outputs["checked_schema"]
    told: Any = settings.transform
    if of_impressions:
        seed = int(conversion.get("seed") or 0)
        told = ImpressionTransformSettings(json.dumps(conversion[ROLES], sort_keys=True), seed, settings.transform.code)
    transform = Transform(  # vocabularies come from the split `train` alone, unless told otherwise
        examples=examples,
        schema=checked,
        preprocessing_fn=preprocessing.PREPROCESSING_FN if of_impressions else PREPROCESSING_FN,
        custom_config=told.custom_config(),
        disable_statistics=True,
    )
    channels = {
        "examples": examples,
        "transformed": transform.outputs["transformed_examples"],
        "graph": transform.outputs["transform_graph"],
        "schema": checked,
    }
    return [generator, schema, statistics, validator, gate, recorder, transform], channels


def schema_importer(directory: Path) -> Any:
    """Returns the node that imports a schema; an edited one is another artifact, so that what reads it runs again.

    Args:
        directory: Where `schema.pbtxt` is.
    """
    digest = hashlib.sha256((directory / SCHEMA_FILE).read_bytes()).hexdigest()
    importer = Importer(
        source_uri=str(directory),
        artifact_type=standard_artifacts.Schema,
        custom_properties={"sha256": digest},  # TFX knows imported artifacts by place and properties only
    )
    return importer.with_id("SchemaImporter")


def curated_schema(root: Path, conversion: Mapping[str, Any]) -> Path:
    """Returns the directory of the schema that raw examples are held against; people may edit it.

    It is made once, by the layout of the first log; later logs must follow it.

    Args:
        root: Directory of the pipeline.
        conversion: Flags of the conversion, with the files of the log.
    """
    directory = root / "schema"
    file = directory / SCHEMA_FILE
    if file.exists():
        _check_kind(file, conversion)
    else:
        directory.mkdir(parents=True, exist_ok=True)
        text = text_format.MessageToString(_new_schema(conversion))
        temporary = file.with_suffix(".tmp")
        if _COMMITTED.exists() and text_format.MessageToString(sequence_schema(EventLayout())) == text:
            shutil.copyfile(_COMMITTED, temporary)
        else:
            temporary.write_text(text)
        temporary.rename(file)
    return directory.absolute()


def _new_schema(conversion: Mapping[str, Any]) -> schema_pb2.Schema:
    if ROLES not in conversion:
        return sequence_schema(_layout(conversion))
    return impression_schema(ImpressionSchema.model_validate(conversion[ROLES]), conversion.get("day_column"))


def _check_kind(file: Path, conversion: Mapping[str, Any]) -> None:
    """Raises ConfigError where sequences meet a schema of impressions, or the other way round."""
    schema = text_format.Parse(file.read_text(encoding="utf-8"), schema_pb2.Schema())
    kinds = {True: "impressions", False: "sequences"}
    own, held = ROLES in conversion, is_impression_schema(schema)
    if own != held:
        raise ConfigError(
            f"The pipeline in `{file.parent.parent}` is of {kinds[held]}, and the data are {kinds[own]}.",
            remedy="Use another --root.",
        )


def _layout(conversion: Mapping[str, Any]) -> EventLayout:
    files = find_inputs(log_globs(conversion), split=None, file_format="parquet")
    sources, _ = open_sources(files[:1])
    flags = {name: value for name, value in conversion.items() if name not in (*FILES, *UNUSED)}
    roles = find_roles(parse_options(output="examples", **flags), sources)
    names = listed(conversion.get("event_features"))
    check_event_features(names, sources, ())
    types: dict[str, Any] = {
        column: "int64" if "INT" in sources[0].columns[column] else "string"
        for column in (*roles.ids().values(), *names)
    }
    owner = roles.user or roles.session or ""
    features = {name: types[name] for name in names}
    return EventLayout(roles.user is not None, types[owner], types[roles.item], features)
