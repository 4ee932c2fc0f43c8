"""Validation: direct forces alone, and what multiple time stepping makes of them."""
