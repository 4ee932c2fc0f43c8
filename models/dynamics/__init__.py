"""Short dynamics inside the process: what moves, and how it is integrated.

Units: Å, fs, amu, eV, K.
"""
