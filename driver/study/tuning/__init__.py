"""Short runs of variants of an input, to find the stride that it bears."""
