"""Moving pictures of runs."""
