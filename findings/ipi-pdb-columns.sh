#!/usr/bin/env bash
# i-PI 3.3.1 (with ASE 3.29.0): does it read the coordinates of a PDB file?
#
# Input: the fixed columns of the standard, x in columns 31 to 38, y in 39 to 46, z in 47 to 54, one x of
# -123.456 and one of 1234.500. An unwrapped trajectory gets there by diffusion.
# Expected: the numbers that stand in the file, or an error.
# Seen: i-PI reads one column to the right (32 to 39, ...): -123.456 becomes 123.456 and 1234.500 becomes
# 234.500, without a word. It writes the standard columns itself, so it misreads its own files as well.
# i-pi-mergebeadspdb writes one column to the left of the standard: ASE reads its -123.456 as 123.456, and
# i-PI, two columns off, its -12.500 as 12.500 and its 123.456 as 23.456 (or it raises, where y is -10 or less).
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile ipi==3.3.1 ase==3.29.0 numpy==2.4.6

cat >read.py <<'EOF'
import ase.io
import numpy as np
from ipi.engine.atoms import Atoms
from ipi.engine.beads import Beads
from ipi.engine.cell import Cell
from ipi.utils.io import print_file, read_file

ANGSTROM = 1.8897261  # i-PI's own
xyz = np.array([[-123.456, -10.5, 5.0], [1234.5, -34.567, 45.678], [6.0, 7.0, 8.0]])

lines = ["CRYST1   50.000   50.000   50.000  90.00  90.00  90.00 P 1           1"]
for i, (x, y, z) in enumerate(xyz, 1):
    lines.append(f"ATOM  {i:5d}    O   1     1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           O")
open("standard.pdb", "w").write("\n".join(lines) + "\nEND\n")


def by_ipi(name):
    with open(name) as f:
        return np.array(read_file("pdb", f)["atoms"].q).reshape(-1, 3) / ANGSTROM


def show(title, values):
    print(title, values[:, 0].round(3).tolist())


atoms = Atoms(3)
atoms.q[:] = xyz.ravel() * ANGSTROM
atoms.names[:] = ["O"] * 3
cell = Cell(np.eye(3) * 50 * ANGSTROM)
with open("own.pdb", "w") as f:
    print_file("pdb", atoms, cell, f)

show("x in the file             ", xyz)
show("standard file, read by ASE", ase.io.read("standard.pdb").positions)
show("standard file, read by i-PI", by_ipi("standard.pdb"))
show("i-PI's file, read by ASE  ", ase.io.read("own.pdb").positions)
show("i-PI's file, read by i-PI ", by_ipi("own.pdb"))
wrong = [123.456, 234.5, 6.0]
for name in "standard.pdb", "own.pdb":
    np.testing.assert_allclose(ase.io.read(name).positions, xyz)
    np.testing.assert_allclose(by_ipi(name)[:, 0], wrong, atol=1e-3)

atoms.q[:] = np.abs(atoms.q) % (9 * ANGSTROM)
atoms.q[6] = 6 * ANGSTROM
atoms.q[0] = -12.5 * ANGSTROM
atoms.q[3] = 123.456 * ANGSTROM
with open("out.pos_0.xyz", "w") as f:
    print_file("xyz", atoms, cell, f, key="positions", units="angstrom", cell_units="angstrom")
atoms.q[0] = -123.456 * ANGSTROM
with open("far.pos_0.xyz", "w") as f:
    print_file("xyz", atoms, cell, f, key="positions", units="angstrom", cell_units="angstrom")
EOF
venv/bin/python read.py
venv/bin/i-pi-mergebeadspdb out pos >merged.pdb
venv/bin/i-pi-mergebeadspdb far pos >far.pdb
cat >merged.py <<'EOF'
import ase.io
from ipi.utils.io import read_file

with open("merged.pdb") as f:
    x = (read_file("pdb", f)["atoms"].q[::3] / 1.8897261).round(3).tolist()
far = ase.io.read("far.pdb").positions[0, 0]
print("i-pi-mergebeadspdb of -12.5, 123.456, 6.0, read by i-PI", x)
print("i-pi-mergebeadspdb of -123.456, read by ASE", far)
assert x == [12.5, 23.456, 6.0], x
assert abs(far - 123.456) < 1e-6, far
EOF
venv/bin/python merged.py
