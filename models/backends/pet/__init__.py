"""PET, evaluated without padding and without what is not asked for."""
