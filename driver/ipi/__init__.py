"""i-PI's input and output files."""
