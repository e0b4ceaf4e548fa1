"""ParquetExampleGen: the first node of the pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import wrappers_pb2  # type: ignore[import-untyped]
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2

from tfrec.errors import ConfigError
from tfx_pipeline.features import SPLITS
from tfx_pipeline.parquet_example_gen.executor import CODE, Executor
from tfx_pipeline.parquet_example_gen.input_patterns import FILES, input_patterns, listed

UNUSED = ("output", "overwrite", "resume", "dry_run", "runner", "beam_args", "shards", "compression", "sequence_order")
_UNSUPPORTED = ("items", "users", "vocabulary", "audit")


class ParquetExampleGen(FileBasedExampleGen):
    """Reads Parquet event logs and writes raw sequence examples, filtered and split as `tfrec.convert` does it.

    Impressions for click models are passed through instead, one example per row. It runs the passes of
    `tfrec.data.beam`; the cache knows the input by names, sizes and times of the files. With
    `{SPAN}` in a path, the latest span is read.

    Args:
        conversion: Flags of `tfrec.convert` by their Python names, with the files (`input`, or `train`, `valid` and
            `test`): files, directories or patterns. With `impressions`, the roles of the columns of impressions (what
            `tfrec.convert --impressions` reads from YAML), the further flags are those of `ImpressionOptions`.
        code: Version of the code, so that examples of another one do not come from the cache.

    Raises:
        ConfigError: No files, or a flag that the pipeline cannot follow.

    Example:
        >>> ParquetExampleGen({"input": ["logs/day-{SPAN}/*.parquet"], "session_col": "session_id"})  # doctest: +SKIP
    """

    def __init__(self, conversion: Mapping[str, Any], code: str = "") -> None:
        for name in _UNSUPPORTED:
            if conversion.get(name):
                raise ConfigError(
                    f"`{name}` does not work in the pipeline.", remedy="Leave it out, or use tfrec.convert and train."
                )
        if conversion.get("unknown_items") == "keep":
            raise ConfigError(
                "`unknown_items: keep` does not work in the pipeline, whose vocabularies hold training items only.",
                remedy="Use drop or oov.",
            )
        named = [(split, path) for split in FILES for path in listed(conversion.get(split))]
        base, patterns = input_patterns([path for _, path in named])
        splits = [
            example_gen_pb2.Input.Split(name=f"{split}-{number}", pattern=pattern)
            for number, ((split, _), pattern) in enumerate(zip(named, patterns, strict=True))
        ]
        options = {name: value for name, value in conversion.items() if name not in (*FILES, *UNUSED)}
        told = wrappers_pb2.StringValue(value=json.dumps({**options, CODE: code}, sort_keys=True))
        custom = example_gen_pb2.CustomConfig()
        custom.custom_config.Pack(told)
        buckets = [example_gen_pb2.SplitConfig.Split(name=split, hash_buckets=1) for split in SPLITS]
        super().__init__(
            input_base=base,
            input_config=example_gen_pb2.Input(splits=splits),
            output_config=example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=buckets)),
            custom_config=custom,
            custom_executor_spec=executor_spec.BeamExecutorSpec(Executor),
        )
