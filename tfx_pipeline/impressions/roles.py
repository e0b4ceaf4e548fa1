"""Which column of a log of impressions plays which role, as the nodes are told it.

A **raw example** of an impression holds the columns that have a role, under their names:

* the label: int64, 0 or 1;
* categories: one text as bytes, whole numbers without a point; left out where missing or empty;
* numbers: one float, left out where missing;
* lists: texts as bytes, or floats, value by value, whole as they are in the log; none where missing.

A **transformed example** is exactly the example of a dataset of `tfrec.convert --impressions`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tfrec.config.impression_schema import ImpressionSchema
from tfrec.data.impressions.impression_conversion import expanded_schema
from tfrec.data.impressions.impression_options import impression_options
from tfrec.data.impressions.impression_sources import ImpressionSource, check_columns, open_sources
from tfx_pipeline.parquet_example_gen.input_patterns import log_globs

ROLES = "impressions"
"""Name of the roles among the flags of a conversion; flags that have it are of impressions."""


@dataclass(frozen=True)
class ImpressionTransformSettings:
    """What Transform is told; travels as `custom_config`, JSON in the pipeline's definition.

    Attributes:
        roles: `ImpressionSchema` as JSON, patterns expanded.
        seed: Of the sample for quantiles.
        code: Version of the code, so that examples of another one do not come from the cache.
    """

    roles: str
    seed: int = 0
    code: str = ""

    @property
    def schema(self) -> ImpressionSchema:
        """The roles."""
        return ImpressionSchema.model_validate_json(self.roles)

    def custom_config(self) -> dict[str, str]:
        """Returns the settings as Transform's `custom_config` takes them."""
        return {"settings": json.dumps(asdict(self), sort_keys=True)}

    @classmethod
    def from_custom_config(cls, custom_config: Mapping[str, Any] | None) -> ImpressionTransformSettings:
        """Returns the settings in a `custom_config`."""
        return cls(**json.loads((custom_config or {})["settings"]))


def expanded_roles(roles: ImpressionSchema, sources: list[ImpressionSource]) -> ImpressionSchema:
    """Returns roles with the columns of the first file in place of patterns such as `history_*`.

    Raises:
        DataError: A pattern matches nothing, or a column that has another role, or a file lacks a column.
    """
    found = expanded_schema(roles, sources)
    check_columns(sources, [found.label, *found.feature_columns])
    return found


def settle_roles(conversion: Mapping[str, Any]) -> dict[str, Any]:
    """Returns flags of a conversion of impressions whose roles have no patterns, by the first file of the log.

    Args:
        conversion: Flags of `tfrec.convert --impressions` by their Python names.

    Raises:
        ConfigError: A flag has no valid value.
        DataError: There is no log, or it lacks a column.
    """
    options = impression_options(**{"output": "examples", **conversion})
    sources = open_sources(log_globs(conversion), split=None, file_format="parquet")
    roles = expanded_roles(options.impressions, sources[:1])
    return {**conversion, ROLES: roles.model_dump(mode="json")}
