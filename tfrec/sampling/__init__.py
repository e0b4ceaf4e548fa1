"""Negative samplers: each returns ids and the logarithm of their sampling weight."""
