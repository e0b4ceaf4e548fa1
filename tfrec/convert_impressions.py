"""`python -m tfrec.convert --impressions`: a log of impressions to a dataset directory for click models."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from tfrec.command import console, print_json
from tfrec.errors import ConfigError


def convert_impression_log(schema: Path, *, given: Collection[str], json_output: bool, **values: Any) -> None:
    """Converts a log as the flags say, and reports it.

    Args:
        schema: File that says which columns have which roles.
        given: Names of the flags that were written, be it with their defaults.
        json_output: Print one JSON document instead of a table.
        **values: Fields of `ImpressionOptions`; None: its default.

    Raises:
        ConfigError: A flag does not go with impressions, or with the split rule.
    """
    from tfrec.config.load import read_yaml
    from tfrec.data.conversion_progress import ConversionProgress
    from tfrec.data.impressions.impression_conversion import convert_impressions
    from tfrec.data.impressions.impression_options import impression_options
    from tfrec.data.impressions.print_impression_conversion import print_impression_conversion

    _check_flags(given, values["split"])
    chosen = {name: value for name, value in values.items() if value is not None}
    options = impression_options(impressions=read_yaml(schema), **chosen)
    with ConversionProgress() as report:
        manifest = convert_impressions(options, progress=report)
    if json_output:
        document = {"output": options.output, "dry_run": options.dry_run}
        print_json({**document, "manifest": manifest.model_dump(mode="json")})
    else:
        print_impression_conversion(manifest, options.output, console(), dry_run=options.dry_run)


def _check_flags(given: Collection[str], rule: str) -> None:
    from tfrec.data.impressions.impression_options import ImpressionOptions, check_split_flags

    known = {*ImpressionOptions.model_fields, "day_col", "time_col", "json", "debug"}
    for name in given:
        if name not in known:
            raise ConfigError(
                f"`--{name.replace('_', '-')}` is for sequences, not for impressions.",
                remedy="Leave it out; the roles of columns are those of the file of `--impressions`.",
            )
    if "time_col" in given and rule != "time":
        raise ConfigError("`--time-col` goes with `--split time` of impressions.", remedy="Pass both, or leave it out.")
    check_split_flags(given, rule)
