"""Everything that computes or learns forces."""
