"""Short dynamics inside the process."""
