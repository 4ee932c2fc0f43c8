"""Benchmarks: halfkick and i-PI's own drivers on the same input, in one run, turn by turn."""
