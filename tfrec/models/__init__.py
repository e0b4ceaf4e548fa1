"""Recommendation models; every module here registers what it defines."""
