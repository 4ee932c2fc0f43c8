"""i-PI's atomic units <-> eV and Å; of the driver, the force field alone converts.

The numbers of i-PI 3.3's own table, so that both sides agree to the last bit (a test compares). To
ask the table takes half a second, since it comes with all of i-PI.
"""

BOHR = 0.529177217798918
"""One bohr in Å."""

HARTREE = 27.211383414215543
"""One hartree in eV."""
