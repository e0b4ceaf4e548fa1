"""Fit loop, run directory, callbacks."""
