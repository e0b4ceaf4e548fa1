"""tfrec: interaction logs in Parquet to a recommender in production, on TensorFlow and Keras 3."""

from tfrec.compat import prepare_environment
from tfrec.version import __version__

prepare_environment()

__all__ = ["__version__"]
