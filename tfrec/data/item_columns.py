"""Columns of an item file: the id, the features with their kinds, and the title."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from tfrec.data.conversion_options import ConversionOptions
from tfrec.data.manifest import IdType
from tfrec.data.source_files import SourceFile
from tfrec.errors import ConfigError, DataError, did_you_mean

ItemFeatureKind = Literal["category", "list", "number"]

RESERVED_NAMES = ("index", "known", "title", "item", "item_id", "timestamp", "user", "user_id", "num_targets")
DEFAULT_SEPARATOR = "|"
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
_KINDS = get_args(ItemFeatureKind)
_RECBOLE_KINDS: dict[str, ItemFeatureKind] = {"token": "category", "token_seq": "list", "float": "number"}
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_FLOATS = ("FLOAT", "DOUBLE", "DECIMAL")


@dataclass(frozen=True)
class ItemFeatureColumn:
    """One feature of the item file.

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
    """Columns of the item file by role."""

    id: str
    features: tuple[ItemFeatureColumn, ...]
    title: str | None


def find_item_columns(options: ConversionOptions, sources: list[SourceFile], item_column: str) -> ItemColumns:
    """Returns which columns of the item files are what, after checking that every file has them.

    Without a kind in `item_features`, columns of lists (and `token_seq` of RecBole) are lists, columns of floating
    point numbers (and `float` of RecBole) are numbers, and all others are categories. Values of categories and lists
    are integers where every file holds integers (Parquet), else strings.

    Args:
        options: The `item*` options are used.
        sources: The item files.
        item_column: Column of item ids in the log: the default name in the item files.

    Returns:
        The columns.

    Raises:
        ConfigError: A name or kind that cannot be a feature.
        DataError: A file lacks a column, or a column cannot be of its kind.
    """
    first = sources[0]
    identity = options.items_id_col or (item_column if item_column in first.columns else "item_id")
    _check(sources, identity, "--items-id-col")
    title = options.item_title_col
    if title is not None:
        _check(sources, title, "--item-title-col")
    asked: list[tuple[str, ItemFeatureKind | None]]
    if options.item_features is None:
        if title is None and "title" in first.columns:
            title = "title"
        asked = [(name, None) for name in first.columns if name not in (identity, title)]
    else:
        asked = [_parse(text) for text in options.item_features]
        if title is None and "title" in first.columns and all(name != "title" for name, _ in asked):
            title = "title"
    features: list[ItemFeatureColumn] = []
    for name, kind in asked:
        _check(sources, name, "--item-features")
        if name in RESERVED_NAMES or not _NAME.match(name):
            rule = f"{', '.join(RESERVED_NAMES)} are taken" if name in RESERVED_NAMES else "letters, digits and _"
            raise ConfigError(
                f"The column `{name}` cannot be an item feature of that name ({rule}).",
                remedy="Rename it in the item file, or leave it out of --item-features.",
            )
        if any(feature.name == name for feature in features):
            raise ConfigError(f"`--item-features` names `{name}` twice.", remedy="Name it once.")
        features.append(_feature(sources, name, kind))
    return ItemColumns(identity, tuple(features), title)


def _parse(text: str) -> tuple[str, ItemFeatureKind | None]:
    name, _, kind = text.strip().rpartition(":") if ":" in text else (text.strip(), "", "")
    kind = _RECBOLE_KINDS.get(kind, kind)
    if kind and kind not in _KINDS:
        raise ConfigError(f"`--item-features`: unknown kind `{kind}` of `{name}`.", remedy=did_you_mean(kind, _KINDS))
    if not name:
        raise ConfigError("`--item-features` has an empty name.", remedy="Write NAME or NAME:KIND, comma separated.")
    return name, cast("ItemFeatureKind", kind) if kind else None


def _check(sources: list[SourceFile], column: str, flag: str) -> None:
    for source in sources:
        if column not in source.columns:
            raise DataError(
                f"The column `{column}` ({flag}) does not exist in the item file.",
                file=source.path,
                remedy=did_you_mean(column, source.columns),
            )


def _feature(sources: list[SourceFile], name: str, kind: ItemFeatureKind | None) -> ItemFeatureColumn:
    first = sources[0]
    chosen: ItemFeatureKind = kind if kind is not None else _kind(first, name)
    integers = True
    for source in sources:
        declared = source.columns[name]
        element = declared[:-2] if declared.endswith("[]") else declared
        if element.startswith(("STRUCT", "MAP", "UNION", "BLOB")) or "[" in element:
            raise _unfit(source, name, chosen, declared)
        if chosen != "list" and declared.endswith("[]"):
            raise _unfit(source, name, chosen, declared)
        if chosen == "list" and not declared.endswith("[]") and declared != "VARCHAR":
            raise _unfit(source, name, chosen, declared)
        if chosen == "number" and not (declared in _INTEGERS or declared.startswith(_FLOATS) or declared == "VARCHAR"):
            raise _unfit(source, name, chosen, declared)
        integers &= element in _INTEGERS
    return ItemFeatureColumn(name, chosen, "int64" if integers and chosen != "number" else "string")


def _kind(source: SourceFile, name: str) -> ItemFeatureKind:
    declared = source.columns[name]
    if source.format == "inter":
        header = next(header for header in source.headers if header.rsplit(":", 1)[0] == name)
        given = header.rsplit(":", 1)[1] if ":" in header else "token"
        if given in _RECBOLE_KINDS:
            return _RECBOLE_KINDS[given]
        raise DataError(
            f"Its RecBole type `{given}` cannot be an item feature.",
            file=source.path,
            column=name,
            remedy="Leave it out: name the other columns with --item-features.",
        )
    if declared.endswith("[]"):
        return "list"
    return "number" if declared.startswith(_FLOATS) else "category"


def _unfit(source: SourceFile, name: str, kind: str, declared: str) -> DataError:
    return DataError(
        f"The column is {declared}, which cannot be read as `{kind}`.",
        file=source.path,
        column=name,
        remedy="Give another kind (--item-features NAME:KIND with category, list or number), or leave it out.",
    )
