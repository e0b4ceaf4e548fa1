"""The component that reads Parquet logs into raw examples."""
