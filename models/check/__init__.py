"""What a model's two forces are worth together, measured without a run."""
