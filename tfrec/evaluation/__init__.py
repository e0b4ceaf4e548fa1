"""Honest evaluation: exact full-catalogue ranking, explicit tie rules, baselines in the same table."""
