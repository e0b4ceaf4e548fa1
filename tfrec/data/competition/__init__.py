"""Data of the Tencent advertising challenge of 2025: sequences in JSON lines, candidates, vectors of creatives."""
