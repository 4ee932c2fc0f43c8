"""Makes inputs: from a structure and a model, or from an input that is there."""
