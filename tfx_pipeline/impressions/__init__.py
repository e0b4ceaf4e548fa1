"""What the pipeline does differently for click models: one example per impression instead of one per sequence."""
