"""Typed configuration: YAML, presets, overrides."""
