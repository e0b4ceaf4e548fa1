"""Real file because Beam workers install the package with `--setup_file=./setup.py`; metadata is in pyproject.toml."""

from setuptools import setup

setup()
