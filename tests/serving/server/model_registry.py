"""All models of a server, and the thread that looks for new versions."""

from __future__ import annotations

import threading
from pathlib import Path

from model_directory import ModelDirectory
from status_error import not_found


class ModelRegistry:
    """All models of a server.

    Args:
        models: Directories by name.
        root: Folder each of whose subfolders is a model too.
        interval: Seconds between two looks.
        plain: As of `LoadedVersion`.
    """

    def __init__(self, models: dict[str, Path], root: Path | None, interval: float, *, plain: bool = False) -> None:
        self._root = root
        self._plain = plain
        self._interval = interval
        self._models = {name: ModelDirectory(name, path, plain=plain) for name, path in models.items()}
        self.poll()
        threading.Thread(target=self._watch, daemon=True).start()

    def poll(self) -> None:
        if self._root is not None:
            for entry in self._root.iterdir():
                if entry.is_dir() and not entry.name.startswith(".") and entry.name not in self._models:
                    self._models[entry.name] = ModelDirectory(entry.name, entry, plain=self._plain)
        for model in list(self._models.values()):
            model.poll()

    def model(self, name: str, *, status: bool = False) -> ModelDirectory:
        if name not in self._models:
            missing = f"Could not find any versions of model {name}"
            raise not_found(missing if status else f"Servable not found for request: Latest({name})")
        return self._models[name]

    def _watch(self) -> None:
        stop = threading.Event()
        while not stop.wait(self._interval):
            self.poll()
