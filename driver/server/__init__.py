"""The driver process: i-PI's requests in, forces out."""
