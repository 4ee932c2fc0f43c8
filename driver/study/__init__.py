"""Studies of many runs: analysis, tuning, validation, benchmarks."""
