#!/usr/bin/env bash
# dftd3 1.7.0, dftd4 4.3.1, tblite 0.8.0: do their ASE calculators honour pbc = T T F?
#
# Expected: a slab is periodic in two directions, or is refused; and the three, of one family, agree.
# Seen: dftd3 computes each direction as asked. dftd4 and tblite compute T T F (tblite T F F too) as T T T,
# with no warning: the slab has images above and below it, and the vacuum decides how large the error is.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile dftd3==1.7.0 dftd4==4.3.1 tblite==0.8.0 ase==3.29.0 numpy==2.4.6

cat >slab.py <<'EOF'
from ase.build import molecule
from dftd3.ase import DFTD3
from dftd4.ase import DFTD4
from tblite.ase import TBLite

calculators = {
    "dftd3": lambda: DFTD3(method="PBE", damping="d3bj"),
    "dftd4": lambda: DFTD4(method="PBE"),
    "tblite": lambda: TBLite(method="GFN1-xTB", verbosity=0),
}
names = {"TTT": [1, 1, 1], "TTF": [1, 1, 0], "FFF": [0, 0, 0]}
energy = {}
for name, make in calculators.items():
    for key, pbc in names.items():
        atoms = molecule("H2O")
        atoms.center(1.2)
        atoms.pbc = pbc
        atoms.calc = make()
        energy[name, key] = atoms.get_potential_energy()
    print(name, "eV:", {k: round(energy[name, k], 5) for k in names})
for name in calculators:
    assert abs(energy[name, "TTT"] - energy[name, "FFF"]) > 1e-3, name
    same = abs(energy[name, "TTT"] - energy[name, "TTF"]) < 1e-9
    assert same == (name != "dftd3"), name
EOF
OMP_NUM_THREADS=1 venv/bin/python slab.py
