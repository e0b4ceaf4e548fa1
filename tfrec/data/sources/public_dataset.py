"""Description of a public data set: files, terms, and the query that makes it tidy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tfrec.data.sources.archive import Archive
from tfrec.data.sources.conversion_recipe import ConversionRecipe
from tfrec.data.sources.raw_file import RawFile
from tfrec.errors import DataError


@dataclass(frozen=True)
class FileSet:
    """Files that together hold the data, and the SQL that makes them tidy.

    Attributes:
        files: The files; their rows are read one file after the other.
        query: SQL over `{events}`, the rows of all files. Its columns are those of the Parquet file.
        keep: SQL condition of the rows of `{events}` that the query keeps.
        required: Columns of `{events}` that no kept row may lack.
        script_query: The query for `follow_scripts`, where the authors' preprocessing scripts differ from the recipe.
    """

    files: tuple[RawFile, ...]
    query: str
    keep: str = "true"
    required: tuple[str, ...] = ()
    script_query: str | None = None


@dataclass(frozen=True)
class PublicDataset:
    """A data set that people get from its owner and that we can read.

    Attributes:
        name: Name on the command line.
        title: What it is, in one line.
        terms: Licence or terms of use, as far as we know them; the owner's page decides.
        where: Where a person gets the files.
        citation: What a publication that uses it cites.
        file_sets: Alternatives, the most complete first; the first that is whole is read.
        keys: Columns of the Parquet file that are never null: ids and time.
        order: Columns by which rows are sorted; empty = order of the files.
        item_sets: Alternatives for the files about items; their queries give `item_id` and side features.
        archive: Where the owner offers the files for download; None = not without asking.
        most_rows: More rows than this are another data set in the same format; None = any number.
        has_times: Whether `timestamp` is a time; false when it is only the position of the event.
        recipe: How it is split; None when it is not a log of sequences.
        recipe_note: The recipe in words.
        script_recipe: The recipe for `follow_scripts`; None = `recipe`.
        script_note: How the authors' scripts differ from the recipe; empty when they do not.
    """

    name: str
    title: str
    terms: str
    where: str
    citation: str
    file_sets: tuple[FileSet, ...]
    keys: tuple[str, ...]
    order: tuple[str, ...] = ()
    item_sets: tuple[FileSet, ...] = ()
    archive: Archive | None = None
    most_rows: int | None = None
    has_times: bool = True
    recipe: ConversionRecipe | None = None
    recipe_note: str = ""
    script_recipe: ConversionRecipe | None = None
    script_note: str = ""

    @property
    def file_names(self) -> list[str]:
        """Names of the files, one text per alternative."""
        return [" + ".join(file.name for file in file_set.files) for file_set in self.file_sets]

    def items(self) -> PublicDataset:
        """Returns the files about items as a data set of its own, with one row per item."""
        return replace(
            self,
            file_sets=self.item_sets,
            item_sets=(),
            keys=("item_id",),
            order=("item_id",),
            most_rows=None,
            has_times=False,
        )

    def find(self, directory: Path) -> tuple[FileSet, list[Path]]:
        """Returns the first alternative whose files are all in `directory`, and their paths.

        Raises:
            DataError: No such directory, or a file is missing; the message says which and where to get it.
        """
        if not directory.is_dir():
            raise DataError(
                "No such directory.", file=directory, remedy=f"Put {' or '.join(self.file_names)} there. {self.where}"
            )
        missing = []
        for file_set in self.file_sets:
            found = [file.find(directory) for file in file_set.files]
            paths = [path for path in found if path is not None]
            if len(paths) == len(found):
                return file_set, paths
            absent = next(file.name for file, path in zip(file_set.files, found, strict=True) if path is None)
            missing.append((len(paths), absent))
        name = max(missing, key=lambda pair: pair[0])[1]
        below = next(iter(sorted(directory.glob(f"*/{name}"))), None)
        others = [names for names in self.file_names if name not in names.split(" + ")]
        also = f" Instead of it also {' or '.join(others)} will do." if others else ""
        hint = f"It is in `{below.parent}`: pass that with --from." if below else f"Get it from its owner: {self.where}"
        raise DataError(
            f"The file `{name}` of the data set `{self.name}` is missing.", file=directory, remedy=hint + also
        )

    def has_files(self, directory: Path) -> bool:
        """Whether all files of an alternative are in a directory."""
        return any(all(file.find(directory) for file in file_set.files) for file_set in self.file_sets)

    def recipe_for(self, *, follow_scripts: bool) -> ConversionRecipe | None:
        """Returns the recipe, or that of the authors' scripts."""
        return self.script_recipe if follow_scripts and self.script_recipe is not None else self.recipe
