"""How the events of a public data set become train, valid and test."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Literal

from tfrec.data.conversion_options import ConversionOptions, SplitRule


@dataclass(frozen=True)
class ConversionRecipe:
    """Settings of `tfrec.convert` that make the split of a published experiment.

    Attributes:
        split: Split rule.
        days: D, the days in test and, with validation, in valid before it; None for rules without days.
        user_col: Column of users, for sources without sessions.
        session_col: Column of sessions.
        session_gap: Seconds of inactivity that end a session of a user.
        drop_consecutive_duplicates: Collapse i,i,j to i,j within a session.
        min_item_count: Drop items with fewer events.
        min_seq_len: Drop sessions with fewer events.
        filter_mode: `fixpoint` or `single_pass`.
        split_time: The instant from which D counts backwards (ms since 1970, UTC); None = the last event.
        unknown_items: What happens to test events of items that training does not know.
        item_features: Features to read from the item file, where there is one.
        event_features: Columns of the log that become categories of events.
    """

    split: SplitRule
    days: float | None = None
    user_col: str | None = None
    session_col: str | None = None
    session_gap: float | None = None
    drop_consecutive_duplicates: bool = False
    min_item_count: int = 1
    min_seq_len: int = 2
    filter_mode: Literal["fixpoint", "single_pass"] = "fixpoint"
    split_time: int | None = None
    unknown_items: Literal["drop", "oov", "keep"] = "drop"
    item_features: tuple[str, ...] | None = None
    event_features: tuple[str, ...] = ()

    def options(self, *, validation: bool = False, items: str | None = None) -> dict[str, Any]:
        """Returns the fields of `ConversionOptions`, without input and output, that differ from their defaults.

        Args:
            validation: Cut a validation part of D days from the end of training, by the same rule.
            items: Item file to read features from.
        """
        values = {name: value for name, value in vars(self).items() if name != "days"}
        if items is None:
            del values["item_features"]
        else:
            values["items"] = (items,)
        values["time_unit"] = "ms"
        if self.days is not None:
            values["test_days"] = self.days
            if validation:
                values["valid_days"] = self.days
        fields = ConversionOptions.model_fields
        return {name: value for name, value in values.items() if name == "split" or value != fields[name].default}

    def command(self, source: str, output: str, *, validation: bool = False, items: str | None = None) -> str:
        """Returns the shell command that converts the Parquet file `source` to the data set directory `output`."""
        words = ["python", "-m", "tfrec.convert", "--input", source]
        for name, value in self.options(validation=validation, items=items).items():
            words.append(f"--{name.replace('_', '-')}")
            if isinstance(value, tuple):
                words.append(",".join(value))
            elif value is not True:
                words.append(f"{value:g}" if isinstance(value, float) else str(value))
        return shlex.join([*words, "--output", output])
