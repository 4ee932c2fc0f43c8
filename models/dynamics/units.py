"""Constants that join eV, Å, amu and fs."""

from __future__ import annotations

from ase import units

__all__ = ["ACCELERATION", "HBAR_EV_FS"]

ACCELERATION = units.fs**2
"""Å/fs² for one eV/Å on one amu; as well fs⁻² for a stiffness of one eV/Å² on one amu."""

HBAR_EV_FS = units._hbar / units._e * 1e15
