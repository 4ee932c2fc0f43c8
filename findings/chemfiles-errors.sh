#!/usr/bin/env bash
# chemfiles 0.10.4 (reader of xyz, pdb, ... with ASE's extended XYZ): does "except Exception" catch its errors?
#
# Input: a valid extended XYZ file with a left-handed cell, as ASE writes it. chemfiles refuses such cells.
# Expected: ChemfilesError is an Exception; a loop over files skips that one and goes on.
# Seen: ChemfilesError derives from BaseException, like KeyboardInterrupt: "except Exception" lets it through
# and the loop ends. One must catch chemfiles.ChemfilesError by name.
# Cells that are right-handed but turned (a along z, right angles) are refused the same way.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile chemfiles==0.10.4 ase==3.29.0 numpy==2.4.6

cat >catch.py <<'EOF'
import warnings

import chemfiles
from ase import Atoms

warnings.simplefilter("ignore")
atoms = Atoms("O", [[0, 0, 0]], pbc=True)


def caught(cell):
    atoms.set_cell(cell)
    atoms.write("atoms.xyz")
    try:
        try:
            with chemfiles.Trajectory("atoms.xyz") as trajectory:
                trajectory.read()
        except Exception:
            return "except Exception"
    except chemfiles.ChemfilesError as e:
        print(e)
        return "except ChemfilesError"
    return "read"


print("bases:", [c.__name__ for c in chemfiles.ChemfilesError.__mro__])
results = {
    "plain": caught([5, 5, 5]),
    "left-handed": caught([[0, 5, 0], [5, 0, 0], [0, 0, 5]]),
    "turned": caught([[0, 0, 5], [5, 0, 0], [0, 5, 0]]),
}
print(results)
assert not issubclass(chemfiles.ChemfilesError, Exception)
assert results == {
    "plain": "read",
    "left-handed": "except ChemfilesError",
    "turned": "except ChemfilesError",
}
EOF
venv/bin/python catch.py
