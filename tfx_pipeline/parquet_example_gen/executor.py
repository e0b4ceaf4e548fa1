"""What ParquetExampleGen does."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf import wrappers_pb2  # type: ignore[import-untyped]
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from tfrec.data.beam import job_files
from tfrec.data.beam.conversion import BeamConversion, prepare_conversion
from tfrec.data.beam.event_buckets import row_order
from tfrec.data.beam.job_runner import JobRunner
from tfrec.data.conversion_inputs import find_log
from tfrec.data.conversion_options import ConversionOptions, parse_options
from tfrec.data.impressions.impression_options import impression_options
from tfrec.data.manifest import Manifest, ShardRecord, VocabularyRecord
from tfrec.data.manifest_builder import build_manifest
from tfrec.data.schema import DatasetSchema
from tfrec.data.split_sequences import read_vocabulary
from tfrec.data.work_database import WorkDatabase
from tfx_pipeline.conversion_record import ITEMS_NAME, ORDER_NAME, RECORD_NAME
from tfx_pipeline.features import SPLITS
from tfx_pipeline.impressions.roles import ROLES
from tfx_pipeline.parquet_example_gen.impression_rows import write_impressions
from tfx_pipeline.parquet_example_gen.raw_examples import RawExamples

CODE = "code"
"""Name among the flags that is none: the version of the code."""
_FILE_FORMAT = "tfrecords_gzip"
_SHARD = "Split-{split}/data_tfrecord-{number:05d}-of-{count:05d}.gz"


class Executor(base_beam_executor.BaseBeamExecutor):  # type: ignore[misc]
    """Reads a log, writes raw examples, and beside them the record of the conversion and the training items."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the passes of the conversion.

        Raises:
            DataError: The log is unfit: a missing column, a wrong type, nulls ...; the message names file and column.
        """
        del input_dict
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        flags = _flags(exec_properties)
        jobs = _Jobs(self._make_beam_pipeline)
        with tempfile.TemporaryDirectory(prefix="tfrec-") as folder:
            directory = job_files.join(self._get_tmp_dir() if self._context is not None else folder, "job")
            try:
                if ROLES in flags:
                    shards = write_impressions(jobs, impression_options(**flags), examples.uri, _SHARD, directory)
                else:
                    shards = _write_sequences(jobs, parse_options(**flags), examples.uri, directory, Path(folder))
            finally:
                job_files.remove(directory)
        examples.split_names = artifact_utils.encode_split_names([split for split in SPLITS if split in shards])
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, _FILE_FORMAT)
        written = sum(shard.sequences for records in shards.values() for shard in records)
        logging.info("ParquetExampleGen wrote %s examples.", written)


class _Jobs:
    """Pipelines with the flags and on the engine of the TFX pipeline."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def run(self, name: str, build: Callable[[Any], None]) -> None:
        """Runs a pipeline."""
        del name
        with self._make() as pipeline:
            build(pipeline)


def _write_sequences(
    jobs: JobRunner, options: ConversionOptions, root: str, directory: str, scratch: Path
) -> dict[str, list[ShardRecord]]:
    """Writes sequence examples, and beside them what the conversion found out."""
    work = WorkDatabase(scratch / "work", options.memory_limit)
    try:
        conversion = prepare_conversion(
            jobs, options, find_log(options), directory, work, count_reversals=True, event_features=True
        )
        shards = conversion.write(RawExamples(), root, _SHARD, gzip=True)
        items = read_vocabulary(work, "i")
    finally:
        work.close()
    record = _record(options, conversion, items.size)
    job_files.write_bytes(job_files.join(root, ITEMS_NAME), items.to_parquet())
    job_files.write_json(job_files.join(root, ORDER_NAME), row_order(directory))
    job_files.write_bytes(job_files.join(root, RECORD_NAME), record.to_json().encode())
    return shards


def _flags(exec_properties: dict[str, Any]) -> dict[str, Any]:
    """Flags of the conversion, with the files that the driver has chosen."""
    config, told = example_gen_pb2.Input(), wrappers_pb2.StringValue()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
    custom = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], custom)
    custom.custom_config.Unpack(told)
    base = exec_properties[standard_component_specs.INPUT_BASE_KEY]
    files: dict[str, list[str]] = {}
    for split in config.splits:
        files.setdefault(split.name.rsplit("-", 1)[0], []).append(job_files.join(base, split.pattern))
    chosen = {name: tuple(paths) for name, paths in files.items()}
    options = {name: value for name, value in json.loads(told.value).items() if name != CODE}
    return {"output": "examples", **chosen, **options}


def _record(options: ConversionOptions, conversion: BeamConversion, items: int) -> Manifest:
    """The manifest of the conversion, without vocabularies and shards, which only Transform will make."""
    unknown = VocabularyRecord(path="none", id_type="int64", size=items, content_sha256="", bytes=0, sha256="")
    parts = conversion.manifest_parts({"item": unknown}, {}, DatasetSchema(features=[]))
    return build_manifest(options, parts).model_copy(update={"vocabularies": {}, "schema_hash": ""})
