"""Components of our own: function components, which TFX runs in the process of the runner."""
