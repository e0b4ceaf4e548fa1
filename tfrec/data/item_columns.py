"""Columns of a file of items or users: the id, the features with their kinds, and the title."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from tfrec.data.column_types import Roles
from tfrec.data.manifest import IdType
from tfrec.data.side_files import SideFiles
from tfrec.data.source_files import SourceFile
from tfrec.errors import ConfigError, DataError, did_you_mean

ItemFeatureKind = Literal["category", "list", "number"]

RESERVED_NAMES = (
    *("index", "known", "user_index", "user_known", "title"),
    *("item", "item_id", "timestamp", "user", "user_id", "num_targets"),
)
DEFAULT_SEPARATOR = "|"
_ARTICLE = {"item": "an", "user": "a"}
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
_KINDS = get_args(ItemFeatureKind)
_RECBOLE_KINDS: dict[str, ItemFeatureKind] = {"token": "category", "token_seq": "list", "float": "number"}
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_FLOATS = ("FLOAT", "DOUBLE", "DECIMAL")


@dataclass(frozen=True)
class ItemFeatureColumn:
    """One feature of the file.

    Attributes:
        name: Name of the column and of the feature.
        kind: `category` (one value out of many), `list` (any number of such values) or `number`.
        id_type: Type of the values of a category or list; `string` for numbers has no meaning.
    """

    name: str
    kind: ItemFeatureKind
    id_type: IdType


@dataclass(frozen=True)
class ItemColumns:
    """Columns of the file by role."""

    id: str
    features: tuple[ItemFeatureColumn, ...]
    title: str | None


@dataclass(frozen=True)
class SideTable:
    """Files of side features, their options and their columns."""

    side: SideFiles
    sources: list[SourceFile]
    columns: ItemColumns


def find_side_tables(sides: Mapping[SideFiles, list[SourceFile]], roles: Roles) -> list[SideTable]:
    """Returns the files of items and of users with their columns, see `find_item_columns`.

    Args:
        sides: The files that were given.
        roles: Columns of the log.

    Raises:
        ConfigError: Files of users for a log without users, or one name for a feature of items and of users.
    """
    found: list[SideTable] = []
    for side, sources in sides.items():
        id_column = roles.item if side.noun == "item" else roles.user
        if id_column is None:
            raise ConfigError("`--users` needs a log with users.", remedy="Name the column with --user-col.")
        columns = find_item_columns(side, sources, id_column)
        taken = {feature.name for table in found for feature in table.columns.features}
        twice = [feature.name for feature in columns.features if feature.name in taken]
        if twice:
            raise ConfigError(
                f"`{twice[0]}` is a feature of items and of users.",
                remedy="Rename the column in one of the files, or leave it out of --user-features.",
            )
        found.append(SideTable(side, sources, columns))
    return found


def find_item_columns(side: SideFiles, sources: list[SourceFile], id_column: str) -> ItemColumns:
    """Returns which columns of the files are what, after checking that every file has them.

    Without a kind in `side.features`, columns of lists (and `token_seq` of RecBole) are lists, columns of floating
    point numbers (and `float` of RecBole) are numbers, and all others are categories. Values of categories and lists
    are integers where every file holds integers (Parquet), else strings.

    Args:
        side: What is said of the files.
        sources: The files.
        id_column: Column of the ids in the log: the default name in the files.

    Returns:
        The columns.

    Raises:
        ConfigError: A name or kind that cannot be a feature.
        DataError: A file lacks a column, or a column cannot be of its kind.
    """
    first = sources[0]
    identity = side.id_col or (id_column if id_column in first.columns else f"{side.noun}_id")
    _check(side, sources, identity, f"--{side.noun}s-id-col")
    title, flag = side.title_col, f"--{side.noun}-features"
    if title is not None:
        _check(side, sources, title, "--item-title-col")
    titled = side.noun == "item" and title is None and "title" in first.columns
    asked: list[tuple[str, ItemFeatureKind | None]]
    if side.features is None:
        title = "title" if titled else title
        asked = [(name, None) for name in first.columns if name not in (identity, title)]
    else:
        asked = [_parse(text, flag) for text in side.features]
        if titled and all(name != "title" for name, _ in asked):
            title = "title"
    features: list[ItemFeatureColumn] = []
    for name, kind in asked:
        _check(side, sources, name, flag)
        if name in RESERVED_NAMES or not _NAME.match(name):
            rule = f"{', '.join(RESERVED_NAMES)} are taken" if name in RESERVED_NAMES else "letters, digits and _"
            raise ConfigError(
                f"The column `{name}` cannot be {_ARTICLE[side.noun]} {side.noun} feature of that name ({rule}).",
                remedy=f"Rename it in the {side.noun} file, or leave it out of {flag}.",
            )
        if any(feature.name == name for feature in features):
            raise ConfigError(f"`{flag}` names `{name}` twice.", remedy="Name it once.")
        features.append(_feature(sources, name, kind, flag))
    return ItemColumns(identity, tuple(features), title)


def _parse(text: str, flag: str) -> tuple[str, ItemFeatureKind | None]:
    name, _, kind = text.strip().rpartition(":") if ":" in text else (text.strip(), "", "")
    kind = _RECBOLE_KINDS.get(kind, kind)
    if kind and kind not in _KINDS:
        raise ConfigError(f"`{flag}`: unknown kind `{kind}` of `{name}`.", remedy=did_you_mean(kind, _KINDS))
    if not name:
        raise ConfigError(f"`{flag}` has an empty name.", remedy="Write NAME or NAME:KIND, comma separated.")
    return name, cast("ItemFeatureKind", kind) if kind else None


def _check(side: SideFiles, sources: list[SourceFile], column: str, flag: str) -> None:
    for source in sources:
        if column not in source.columns:
            raise DataError(
                f"The column `{column}` ({flag}) does not exist in the {side.noun} file.",
                file=source.path,
                remedy=did_you_mean(column, source.columns),
            )


def _feature(sources: list[SourceFile], name: str, kind: ItemFeatureKind | None, flag: str) -> ItemFeatureColumn:
    first = sources[0]
    chosen: ItemFeatureKind = kind if kind is not None else _kind(first, name, flag)
    integers = True
    for source in sources:
        declared = source.columns[name]
        element = declared[:-2] if declared.endswith("[]") else declared
        if element.startswith(("STRUCT", "MAP", "UNION", "BLOB")) or "[" in element:
            raise _unfit(source, name, chosen, declared, flag)
        if chosen != "list" and declared.endswith("[]"):
            raise _unfit(source, name, chosen, declared, flag)
        if chosen == "list" and not declared.endswith("[]") and declared != "VARCHAR":
            raise _unfit(source, name, chosen, declared, flag)
        if chosen == "number" and not (declared in _INTEGERS or declared.startswith(_FLOATS) or declared == "VARCHAR"):
            raise _unfit(source, name, chosen, declared, flag)
        integers &= element in _INTEGERS
    return ItemFeatureColumn(name, chosen, "int64" if integers and chosen != "number" else "string")


def _kind(source: SourceFile, name: str, flag: str) -> ItemFeatureKind:
    declared = source.columns[name]
    if source.format == "inter":
        header = next(header for header in source.headers if header.rsplit(":", 1)[0] == name)
        given = header.rsplit(":", 1)[1] if ":" in header else "token"
        if given in _RECBOLE_KINDS:
            return _RECBOLE_KINDS[given]
        raise DataError(
            f"Its RecBole type `{given}` cannot be a feature.",
            file=source.path,
            column=name,
            remedy=f"Leave it out: name the other columns with {flag}.",
        )
    if declared.endswith("[]"):
        return "list"
    return "number" if declared.startswith(_FLOATS) else "category"


def _unfit(source: SourceFile, name: str, kind: str, declared: str, flag: str) -> DataError:
    return DataError(
        f"The column is {declared}, which cannot be read as `{kind}`.",
        file=source.path,
        column=name,
        remedy=f"Give another kind ({flag} NAME:KIND with category, list or number), or leave it out.",
    )
