"""The component that stops a run on dirty data before anything is trained on it."""
