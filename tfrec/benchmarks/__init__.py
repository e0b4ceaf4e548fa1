"""Benchmarks: each times one stage, beside the obvious alternative in the same run, and checks what it timed."""
