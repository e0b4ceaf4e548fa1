"""From files with labels to a click model, for a prediction in one command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tfrec.config.load import read_yaml
from tfrec.config.run_config import ImpressionRunConfig
from tfrec.data.impressions.impression_conversion import convert_impressions, expanded_schema
from tfrec.data.impressions.impression_dataset import ImpressionDataset, holds_impressions
from tfrec.data.impressions.impression_options import ImpressionOptions, impression_options
from tfrec.data.impressions.impression_sources import ImpressionSource, check_columns, open_sources
from tfrec.data.impressions.unique_ids import check_unique_ids
from tfrec.errors import ConfigError
from tfrec.process_tuning import keep_freed_memory
from tfrec.training.experiment import run_experiment
from tfrec.training.model_store import run_config
from tfrec.training.run_directory import RunDirectory


def train_from_files(
    run: Path,
    files: Sequence[str],
    schema: Path,
    model: str,
    settings: Sequence[str],
    sources: Sequence[ImpressionSource],
    console: Console,
    *,
    id_column: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Converts files to `RUN.data` and trains a click model on them.

    Whatever can be known of the files that are to be predicted is checked first: that they have all columns before the
    conversion, and that these can be read before the training; that no id of theirs names two rows.

    Args:
        run: Run directory to write.
        files: With labels, to train on.
        schema: YAML file with the roles of columns.
        model: Name of a click model.
        settings: Of the training, `KEY=VALUE`.
        sources: Files that are to be predicted, opened.
        console: For progress.
        id_column: Column that names their rows, looked at already. Default: `id` of the schema is looked at here.
        resume: Go on with an interrupted conversion or training; a finished run is left as it is.
        overwrite: Replace an existing run and its data.

    Raises:
        ConfigError: The run exists and neither flag is given, or the model is no click model.
        DataError: The files to be predicted do not fit the schema, or an id names two of their rows.
    """
    directory = RunDirectory(run)
    if resume and directory.metrics.is_file():
        return
    data = run.with_name(f"{run.name}.data")
    config = run_config(model, assignments=[*settings, f"data.path={data}"])
    if not isinstance(config, ImpressionRunConfig):
        raise ConfigError(f"`{model}` is a recommender, not a click model.", remedy="Pass for example --model feseq.")
    going_on = resume and directory.config.is_file()
    directory.check(overwrite=overwrite, resume=going_on)
    options = impression_options(
        output=str(data),
        impressions=read_yaml(schema),
        input=tuple(files),
        overwrite=overwrite,
        resume=resume,
        seed=config.seed,
    )
    log = open_sources(options.input, split=None, file_format=None)
    check_columns(sources, expanded_schema(options.impressions, log).feature_columns)
    name = options.impressions.id
    if id_column is None and name is not None and all(name in source.columns for source in sources):
        check_unique_ids(sources, name)
    if not (resume and _is_made_of(data, options)):
        keep_freed_memory()
        manifest = convert_impressions(options)
        console.print(f"{manifest.rows_read:,} rows of {len(manifest.sources)} files: {data}", markup=False)
    encoder = ImpressionDataset.open(data).encoder
    for source in sources:
        for batch in source.batches(encoder.fields.columns):
            encoder.encode(batch, file=source.path)  # the first rows
            break
    run_experiment(config, run, console, overwrite=overwrite, resume=going_on)


def _is_made_of(data: Path, options: ImpressionOptions) -> bool:
    """Whether a data set is what a conversion with these options makes."""
    return holds_impressions(data) and ImpressionDataset.open(data).manifest.options == json.loads(
        options.fingerprint()
    )
