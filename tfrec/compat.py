"""The one place that knows about Keras 2 and Keras 3 (see the README's note on TFRS).

TFRS and TensorFlow Transform need `tf.keras` to be Keras 2, which TensorFlow decides from `TF_USE_LEGACY_KERAS` when
`tf.keras` is first resolved. tfrec itself uses Keras 3 through `import keras`, which the flag leaves alone. Importing
`tfrec` calls `prepare_environment` before anything can import TensorFlow.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from types import ModuleType

from tfrec.errors import ConfigError


def prepare_environment() -> None:
    """Sets the flags that must be in place before TensorFlow and Keras are imported.

    Raises:
        ConfigError: TensorFlow was imported earlier without `TF_USE_LEGACY_KERAS=1`, or Keras 3 runs on another
            back-end.
    """
    if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") not in ("1", "True", "true"):
        raise ConfigError(
            "TensorFlow was imported before `tfrec`, without `TF_USE_LEGACY_KERAS=1`: TFRS would see Keras 3 and fail.",
            remedy="Import `tfrec` before `tensorflow`, or set TF_USE_LEGACY_KERAS=1 in the environment.",
        )
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        raise ConfigError(
            f"`KERAS_BACKEND` is `{os.environ['KERAS_BACKEND']}`; tfrec runs on TensorFlow only.",
            remedy="Unset KERAS_BACKEND or set it to `tensorflow`.",
        )
    # TensorFlow logs missing GPU libraries as errors at every start; what matters arrives as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.")


def load_tensorflow() -> None:
    """Imports TensorFlow and Keras without the lines that their native parts print at start.

    Since 2.20, TensorFlow reports missing GPU libraries on standard error before it reads `TF_CPP_MIN_LOG_LEVEL`,
    which would bury the one line of an error message. A failure of the import is raised as usual. Whoever sets
    `TF_CPP_MIN_LOG_LEVEL` below 3 sees everything.
    """
    if _wants_silence():
        with _silent_standard_error():
            _start(importlib.import_module("tensorflow"))


def load_tensorflow_when_needed() -> None:
    """Lets whoever first imports TensorFlow in this process import it as `load_tensorflow` does.

    A command that ends before that, by a mistake in its arguments, does not wait for TensorFlow.
    """
    if _wants_silence() and "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow, once, with a loader that is quiet."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    """Runs a module by its own loader, which it leaves there in its place."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        with _silent_standard_error():
            self._loader.exec_module(module)
            _start(sys.modules[module.__name__])


def _wants_silence() -> bool:
    return os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "3"


def _start(tensorflow: ModuleType) -> None:
    """Lets TensorFlow and Keras say what they have to say at start."""
    importlib.import_module("keras")
    tensorflow.config.list_physical_devices()


@contextlib.contextmanager
def _silent_standard_error() -> Iterator[None]:
    sys.stderr.flush()
    kept, silent = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silent)


def legacy_keras() -> ModuleType:
    """Returns Keras 2, of which the layers, losses and metrics inside TFRS are made; nothing else may use it."""
    return importlib.import_module("tf_keras")
