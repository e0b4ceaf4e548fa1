"""Losses over candidate scores."""
