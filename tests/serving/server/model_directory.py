"""The versions of one model: the newest is served, a newer one takes over when it has been loaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
from loaded_version import LoadedVersion
from status_error import not_found
from tensorflow_serving.apis import get_model_status_pb2

State = get_model_status_pb2.ModelVersionStatus.State


class ModelDirectory:
    """Serves the largest numeric version of a directory, as TensorFlow Serving's default policy (latest 1) does.

    The version in service stays until its successor is ready; one that cannot be loaded ends with its error. When the
    newest directory is taken away, the one before it is loaded again.

    Args:
        name: Model name.
        path: Directory that holds `<version>/saved_model.pb`.
        plain: As of `LoadedVersion`.
    """

    def __init__(self, name: str, path: Path, *, plain: bool = False) -> None:
        self._plain = plain
        self.name = name
        self.path = path
        self._lock = threading.Lock()
        self._serving: LoadedVersion | None = None
        self._states: dict[int, tuple[int, grpc.StatusCode, str]] = {}

    def poll(self) -> None:
        """Looks at the directory once and loads the version that should be served, unless it is or has failed."""
        newest = max(self._versions(), default=None)
        with self._lock:
            serving = self._serving
            failed = newest in self._states and self._states[newest][1] is not grpc.StatusCode.OK
        if newest is None or failed or (serving is not None and serving.version == newest):
            return
        self._set(newest, State.LOADING)
        try:
            loaded = LoadedVersion(self.path / str(newest), newest, plain=self._plain)
        except Exception as error:  # noqa: BLE001  any failure to load is a state of the version
            code = getattr(error, "code", grpc.StatusCode.UNKNOWN)
            self._set(newest, State.END, code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN, error)
            return
        with self._lock:
            self._serving = loaded
        self._set(newest, State.AVAILABLE)
        if serving is not None:
            self._set(serving.version, State.END)

    def get(self, version: int | None) -> LoadedVersion:
        """The version in service; NOT_FOUND when it is not the one asked for."""
        with self._lock:
            loaded = self._serving
        if loaded is None or version not in (None, loaded.version):
            which = f"Latest({self.name})" if version is None else f"Specific({self.name}, {version})"
            raise not_found(f"Servable not found for request: {which}")
        return loaded

    def status(self, version: int | None) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of all versions seen, the newest first, or of one."""
        with self._lock:
            states = dict(self._states)
        if version is not None and version not in states:
            raise not_found(f"Could not find version {version} of model {self.name}")
        if not states:
            raise not_found(f"Could not find any versions of model {self.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for number in sorted(states, reverse=True) if version is None else [version]:
            state, code, message = states[number]
            entry = response.model_version_status.add(version=number, state=state)
            entry.status.error_code = code.value[0]
            entry.status.error_message = message
        return response

    def _set(self, version: int, state: int, code: grpc.StatusCode = grpc.StatusCode.OK, error: object = "") -> None:
        with self._lock:
            self._states[version] = (state, code, str(error))

    def _versions(self) -> Iterator[int]:
        if self.path.is_dir():
            for entry in self.path.iterdir():
                if entry.name.isdigit() and entry.is_dir():
                    yield int(entry.name)
