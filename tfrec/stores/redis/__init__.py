"""Vectors in Redis: versions written in bulk, verified, then made live in one step."""
