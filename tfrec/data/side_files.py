"""What a conversion is told of files with one row per item, or one row per user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tfrec.data.conversion_options import ConversionOptions

SideNoun = Literal["item", "user"]


@dataclass(frozen=True)
class SideFiles:
    """Options about the files of side features of items or of users.

    Attributes:
        noun: What a row is about.
        files: Files, globs, directories or URLs; empty for none.
        id_col: Column of ids; None = as in the log.
        features: Columns to keep, `NAME` or `NAME:KIND`; None = all.
        list_separator: Between the values of a list in a text column; None = `|` (RecBole: a space).
        title_col: Column of titles; only of items.
        missing: What happens when the log has an id without a row.
        cold: What happens to rows whose id has no training events.
        compression: Compression of the file that is written.
    """

    noun: SideNoun
    files: tuple[str, ...]
    id_col: str | None
    features: tuple[str, ...] | None
    list_separator: str | None
    title_col: str | None
    missing: Literal["error", "empty"]
    cold: Literal["drop", "keep"]
    compression: str

    @classmethod
    def given(cls, options: ConversionOptions) -> list[SideFiles]:
        """Returns what a conversion is told of its items and of its users, where there are files."""
        return [side for side in (cls.of_items(options), cls.of_users(options)) if side.files]

    @classmethod
    def of_items(cls, options: ConversionOptions) -> SideFiles:
        """Returns what a conversion is told of its items."""
        return cls(
            "item",
            options.items,
            options.items_id_col,
            options.item_features,
            options.item_list_separator,
            options.item_title_col,
            options.missing_items,
            options.cold_items,
            options.compression,
        )

    @classmethod
    def of_users(cls, options: ConversionOptions) -> SideFiles:
        """Returns what a conversion is told of its users; one without a row has no features."""
        columns = options.users_id_col, options.user_features
        return cls("user", options.users, *columns, None, None, "empty", options.cold_users, options.compression)

    @property
    def letter(self) -> str:
        """Letter of the ids in the work database: `i` or `u`."""
        return self.noun[0]

    @property
    def catalogue(self) -> str:
        """Table of the work database with every id that has an index."""
        return "catalogue_i" if self.noun == "item" else "vocabulary_u"

    @property
    def prefix(self) -> str:
        """What the names of the features `index` and `known` begin with."""
        return "" if self.noun == "item" else "user_"

    @property
    def rows(self) -> str:
        """Table of the work database with the rows of the files."""
        return f"{self.noun}_rows"
