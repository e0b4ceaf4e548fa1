"""SavedModels for TensorFlow Serving: signatures, version directories, and the proof that they answer as the model."""
