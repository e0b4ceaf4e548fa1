"""Version of the package, read by setuptools without importing TensorFlow."""

__version__ = "0.1.0.dev0"
