"""The one place that knows about Keras 2 and Keras 3 (see the README's note on TFRS).

TFRS and TensorFlow Transform need `tf.keras` to be Keras 2, which TensorFlow decides from `TF_USE_LEGACY_KERAS` when
`tf.keras` is first resolved. tfrec itself uses Keras 3 through `import keras`, which the flag leaves alone. Importing
`tfrec` calls `prepare_environment` before anything can import TensorFlow.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
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
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        return
    sys.stderr.flush()
    kept, silent = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    try:
        tensorflow = importlib.import_module("tensorflow")
        importlib.import_module("keras")
        tensorflow.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silent)


def legacy_keras() -> ModuleType:
    """Returns Keras 2, of which the layers, losses and metrics inside TFRS are made; nothing else may use it."""
    return importlib.import_module("tf_keras")
