"""A run: i-PI and the driver started, watched, ended, and summed up."""
