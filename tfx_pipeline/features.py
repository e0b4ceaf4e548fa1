"""Names of the features that raw and transformed examples have, and the settings of their transformation.

A **raw sequence example** (what `ParquetExampleGen` writes) holds raw ids, as they are in the log:

* `item`: int64 or bytes list, the items of the sequence, oldest first;
* `timestamp`: int64 list, milliseconds since 1970, one per item;
* `user_id`: int64 or bytes, one value: the raw id of the user, of the session where the log has no users;
* `user`: the same value again, only where the log has a user column: users then get indices;
* `num_targets`: int64, one value: how many trailing events this split may predict;
* further event columns under their names: int64, float or bytes lists, one value per item; where the log has none,
  that of `UNKNOWN_ID`.

A **transformed example** has the same names, with indices in `item` and `user` (0 padding, 1 out of vocabulary, 2..):
it is exactly the sequence example of a dataset directory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

ITEM = "item"
TIMESTAMP = "timestamp"
USER_ID = "user_id"
USER = "user"
NUM_TARGETS = "num_targets"
SEQUENCE_FEATURES = (ITEM, TIMESTAMP, USER_ID, USER, NUM_TARGETS)

SPLITS = ("train", "valid", "test")
TIME_FEATURES = ("hour", "weekday")


@dataclass(frozen=True)
class TransformSettings:
    """What Transform may be told; travels as `custom_config`, JSON in the pipeline's definition.

    Attributes:
        min_item_count: Items with fewer training events have no index of their own: they become index 1.
        max_items: The most frequent items that have an index; None = all.
        min_user_count: The same for users.
        categories: Event columns that get indices, whatever their type: 0 where the log has no value.
        time_features: Features made of `timestamp`, one value per event: `hour` (0-23) and `weekday` (0 = Monday), UTC.
        code: Version of the code, so that examples of another one do not come from the cache.
    """

    min_item_count: int = 1
    max_items: int | None = None
    min_user_count: int = 1
    categories: tuple[str, ...] = ()
    time_features: tuple[str, ...] = ()
    code: str = ""

    def custom_config(self) -> dict[str, str]:
        """Returns the settings as Transform's `custom_config` takes them."""
        return {"settings": json.dumps(asdict(self), sort_keys=True)}

    @classmethod
    def from_custom_config(cls, custom_config: Mapping[str, Any] | None) -> TransformSettings:
        """Returns the settings in a `custom_config`; without one, the defaults."""
        values = json.loads((custom_config or {}).get("settings", "{}"))
        lists = {name: tuple(values.get(name, ())) for name in ("categories", "time_features")}
        return cls(**{**values, **lists})
