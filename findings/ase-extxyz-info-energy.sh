#!/usr/bin/env bash
# ASE 3.29.0: may atoms.info hold an energy when a frame with a calculator is written as extended XYZ?
#
# Input: a frame with atoms.info["energy"] (the reference) and a calculator with an energy (the model's).
# Expected: one of the two is written, or both under two names.
# Seen: KeyError "key from calculator already exists in atoms.info", also where the two numbers are equal.
# Without a calculator the same frame is written; reading it back takes the number out of atoms.info and
# into atoms.calc, so the next calculator that is set throws it away.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile ase==3.29.0 numpy==2.4.6

cat >energy.py <<'EOF'
import ase.io
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

atoms = Atoms("Ar", [[0, 0, 0]])
atoms.info["energy"] = 1.0
atoms.calc = SinglePointCalculator(atoms, energy=1.0)
try:
    atoms.write("frame.xyz")
except KeyError as e:
    print("KeyError:", e)
else:
    raise SystemExit("it was written")
atoms.calc = None
atoms.write("frame.xyz")
back = ase.io.read("frame.xyz")
print("read back: info", back.info, "results", back.calc.results)
assert "energy" not in back.info and back.get_potential_energy() == 1.0
EOF
venv/bin/python energy.py
