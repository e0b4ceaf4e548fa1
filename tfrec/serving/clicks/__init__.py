"""Click models as SavedModels: raw columns in, probabilities out."""
