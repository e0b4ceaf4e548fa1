"""Top-k search among item vectors, in operations that stock TF Serving has."""
