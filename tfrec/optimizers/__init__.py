"""Optimisers whose step touches only the rows that were looked up."""
