"""Runs the executor of the Evaluator as the pipeline does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf


def run_evaluator(
    folder: Path, output: Path, model: str, baseline: str | None, config: Any, module: str
) -> tuple[Any, bool]:
    """Returns the decision, and whether the artifact of the blessing says yes.

    Args:
        folder: With `examples/Split-test` and a directory per model.
        output: Where artifacts go.
        model: Candidate.
        baseline: Baseline, or None.
        config: `EvalConfig`.
        module: Module of the extractors.
    """
    from tfx.components.evaluator.executor import Executor
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.types import standard_artifacts
    from tfx.utils import proto_utils

    from tfx_pipeline.blessing import read_decision

    examples = standard_artifacts.Examples()
    examples.uri = str(folder / "examples")
    examples.split_names = '["test"]'
    examples.set_string_custom_property("file_format", "tfrecords_gzip")
    inputs: dict[str, list[Any]] = {"examples": [examples]}
    for key, name in (("model", model), ("baseline_model", baseline)):
        if name is not None:
            artifact = standard_artifacts.Model()
            artifact.uri = str(folder / name)
            inputs[key] = [artifact]
    evaluation, blessing = standard_artifacts.ModelEvaluation(), standard_artifacts.ModelBlessing()
    evaluation.uri, blessing.uri = str(output / "evaluation"), str(output / "blessing")
    properties = {
        "eval_config": proto_utils.proto_to_json(config),
        "example_splits": '["test"]',
        "module_path": module,
        "feature_slicing_spec": None,
    }
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=DirectRunner"], extra_flags=None, tmp_dir=str(output / "tmp"), unique_id="1"
    )
    Executor(context).Do(inputs, {"evaluation": [evaluation], "blessing": [blessing]}, properties)
    return read_decision(evaluation.uri), blessing.get_int_custom_property("blessed") == 1


def write_test_split(folder: Path, examples: list[dict[str, tf.train.Feature]]) -> None:
    """Writes examples as the split `test` of `folder/examples`."""
    directory = folder / "examples" / "Split-test"
    directory.mkdir(parents=True)
    path = directory / "data_tfrecord-00000-of-00001.gz"
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for features in examples:
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
