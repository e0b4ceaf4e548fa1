"""Adapters from Keras 3 towers to the tasks of TensorFlow Recommenders."""
