"""Keras 3 layers."""
