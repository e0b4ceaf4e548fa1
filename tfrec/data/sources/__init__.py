"""Public data sets: what their owners publish, and how it becomes one tidy Parquet file and a split."""
