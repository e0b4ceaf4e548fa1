"""What the pipeline is told of items and users besides the log: files of side features, and ready-made vectors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tfrec.data.added_sides import add_sides, check_sides
from tfrec.data.column_types import Roles
from tfrec.data.conversion_inputs import find_sides
from tfrec.data.conversion_options import ConversionOptions, parse_options
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import write_item_vectors
from tfrec.data.item_writer import WrittenItems
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError, DataError
from tfrec.text.vector_file import read_vector_file


@dataclass(frozen=True)
class SideInputs:
    """Files besides the log; travels to the Trainer and the Tuner with their settings.

    Items and users have the indices that Transform gives them, so rows of those without training events are left out.

    Attributes:
        flags: Flags of `tfrec.convert` about items and users, by their Python names.
        vectors: Files of vectors of items (`.npz` or Parquet, as `tfrec.texts encode --vectors` takes them) by name.
        stamps: What changes with the content of every file, so that other features are trained anew.
    """

    flags: Mapping[str, Any] = field(default_factory=dict)
    vectors: Mapping[str, str] = field(default_factory=dict)
    stamps: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def found(
        cls, flags: Mapping[str, Any], vectors: Sequence[str], roles: Roles, event_features: Sequence[str] = ()
    ) -> SideInputs:
        """Returns what flags of the command name, after checking that it is there.

        Args:
            flags: Flags of `tfrec.convert` about items and users.
            vectors: `NAME=FILE`.
            roles: Columns of the log; without a user column, there can be no files of users.
            event_features: Columns of the log that become features.

        Raises:
            ConfigError: A flag has no effect or no valid value, or a feature the name of one of events.
            DataError: A file or column is missing.
        """
        named: dict[str, str] = {}
        for text in vectors:
            name, _, file = text.partition("=")
            if not name or not file or name in named:
                raise ConfigError(f"`--item-vectors {text}` is no new NAME=FILE.", remedy="Write text=vectors.npz.")
            if not Path(file).is_file():
                raise DataError("There is no such file of vectors.", file=file, remedy="Check the path.")
            named[name] = str(Path(file).absolute())
        given = {name: value for name, value in flags.items() if value not in (None, ())}
        for name in ("items", "users"):
            if name in given:
                given[name] = [path if "://" in path else str(Path(path).absolute()) for path in given[name]]
        made = cls(given, named)
        check_sides(made.options, roles, event_features)
        return cls(given, named, made._stamped())

    @classmethod
    def from_custom_config(cls, custom_config: Mapping[str, Any] | None) -> SideInputs:
        """Returns what stands in the settings of a Trainer or Tuner; without any, nothing."""
        settings = json.loads((custom_config or {}).get("settings", "{}"))
        return cls(**json.loads(settings.get("side") or "{}"))

    def to_json(self) -> str:
        """Returns the text for the settings of a Trainer or Tuner."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def options(self) -> ConversionOptions:
        """The flags as options of a conversion."""
        lists = ("items", "users", "item_features", "user_features")
        values = {name: tuple(value) if name in lists else value for name, value in self.flags.items()}
        return parse_options(output="dataset", compression="gzip", **values)

    def write_features(
        self, roles: Roles, vocabularies: Mapping[str, Vocabulary], root: Path, event_features: Sequence[str] = ()
    ) -> dict[str, WrittenItems]:
        """Writes the features of items and users into a directory that becomes a dataset, see `add_sides`.

        Raises:
            ConfigError: A feature has the name of one of events.
            DataError: A file has changed, come or gone since the pipeline was started, or holds what is unfit.
        """
        changed = self._stamped().items() ^ self.stamps.items()
        if changed:
            path, _ = min(changed)
            raise DataError("The file has changed since the run began.", file=path, remedy="Run the command again.")
        return add_sides(self.options, roles, vocabularies, root, event_features)

    def write_vectors(self, dataset: InteractionDataset) -> None:
        """Writes the vectors of items beside a dataset.

        Raises:
            DataError: A file is damaged, or a vector unfit.
        """
        for name, file in self.vectors.items():
            write_item_vectors(dataset, name, *read_vector_file(Path(file)), source={"file": file})

    def _stamped(self) -> dict[str, str]:
        files = [file for found in find_sides(self.options).values() for file in found]
        stamps = {file.path: f"{file.size} {file.stamp}" for file in files}
        for path in map(Path, self.vectors.values()):
            stamps[str(path)] = f"{path.stat().st_size} {path.stat().st_mtime_ns}"
        return stamps
