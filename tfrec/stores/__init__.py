"""Stores of user and item vectors that applications read while new ones are published."""
