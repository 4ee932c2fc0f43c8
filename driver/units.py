"""i-PI's atomic units <-> eV and Å; used at the wire and nowhere else."""

from ipi.utils.units import unit_to_internal

BOHR = 1.0 / float(unit_to_internal("length", "angstrom", 1.0))
"""One bohr in Å, from i-PI's own table, so that both sides agree to the last bit."""

HARTREE = 1.0 / float(unit_to_internal("energy", "electronvolt", 1.0))
"""One hartree in eV."""
