"""Everything that runs beside i-PI."""
