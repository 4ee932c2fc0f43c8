"""What is learnt from runs: analysis, tuning, validation, benchmarks."""
