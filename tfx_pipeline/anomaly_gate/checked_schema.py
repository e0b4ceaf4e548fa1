"""CheckedSchema: what Transform and Trainer read after the gate has let the data pass."""

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Schema
from tfx.utils import io_utils

from tfrec.data.beam import job_files
from tfx_pipeline.conversion_record import RECORD_NAME, parse_record, with_record


@component
def CheckedSchema(  # type: ignore[no-untyped-def]
    examples: InputArtifact[Examples], schema: InputArtifact[Schema], checked_schema: OutputArtifact[Schema]
):
    """Hands on the schema with the record of the conversion in it.

    It is a node of its own because the gate judges every run, and what has passed must come from the cache.

    Args:
        examples: Of ParquetExampleGen.
        schema: The curated schema.
        checked_schema: Gets `schema.pbtxt`.
    """
    record = job_files.join(examples.uri, RECORD_NAME)
    manifest = parse_record(job_files.read_bytes(record), file=record)
    found = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema.uri))
    io_utils.write_pbtxt_file(job_files.join(checked_schema.uri, "schema.pbtxt"), with_record(found, manifest))
