"""Texts of items and users: read, made from metadata, written by a language model, and turned into vectors."""
