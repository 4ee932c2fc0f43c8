"""i-PI's atomic units <-> eV and Å; of the driver, the force field alone converts.

The numbers of i-PI 3.3's own table, so that both sides agree to the last bit (a test compares). To
ask the table takes half a second, since it comes with all of i-PI.
"""

import re

BOHR = 0.529177217798918
"""One bohr in Å."""

HARTREE = 27.211383414215543
"""One hartree in eV."""

OURS = {"eV": HARTREE, "Angstrom": BOHR}


def atomic_units(unit: str) -> float:
    """What to multiply a number in this unit by, so that it is in i-PI's.

    Args:
        unit: a product of words as ``e*Angstrom`` or ``eV/Angstrom^3``; other words than eV and
            Angstrom count as one.
    """
    factor = 1.0
    for over, word, power in re.findall(r"([*/]?)\s*([A-Za-z]+)(?:\^(-?\d+))?", unit):
        sign = -1 if over == "/" else 1
        factor *= OURS.get(word, 1.0) ** (-sign * int(power or 1))
    return factor
