"""Measures a model's two forces together, without a run."""
