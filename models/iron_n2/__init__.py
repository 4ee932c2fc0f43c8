"""Nitrogen on iron: a small PET with both heads, how it was made and how good it is."""
