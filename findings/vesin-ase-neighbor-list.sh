#!/usr/bin/env bash
# vesin 0.6.2, ASE 3.29.0: is vesin.ase_neighbor_list a drop-in for ase.neighborlist.neighbor_list?
#
# Expected: yes, as its name says: the same pairs in the same types.
# Seen: the pairs agree, also with cells smaller than the cutoff and periodic in two directions, but
# - one quantity ("i") comes as a tuple of one array, where ASE gives the array: len() is 1 whatever the pairs;
# - indices are uint64, where ASE has int64: i - 1 of the atom 0 is 18446744073709551615, and i - j wraps as well.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile vesin==0.6.2 ase==3.29.0 numpy==2.4.6

cat >compare.py <<'EOF'
import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from vesin import ase_neighbor_list

atoms = Atoms("Ar", [[0.3, 0, 0]], cell=[2, 2, 2], pbc=[True, True, False])
ours, theirs = ase_neighbor_list("ij", atoms, 2.5), neighbor_list("ij", atoms, 2.5)
print("pairs:", len(ours[0]), "ASE:", len(theirs[0]))
assert len(ours[0]) == len(theirs[0]) == 4

one, array = ase_neighbor_list("i", atoms, 2.5), neighbor_list("i", atoms, 2.5)
print('"i" gives', type(one).__name__, "of length", len(one), "- ASE:", type(array).__name__, len(array))
assert isinstance(one, tuple) and len(one) == 1
assert isinstance(array, np.ndarray) and len(array) == 4

pair = Atoms("Ar2", [[0, 0, 0], [1, 0, 0]])
i, j = ase_neighbor_list("ij", pair, 2.0)
k, m = neighbor_list("ij", pair, 2.0)
print("indices:", i.dtype, "- ASE:", k.dtype)
print("i - j:", (i - j).tolist(), "- ASE:", (k - m).tolist())
assert i.dtype == np.uint64 and k.dtype == np.int64
assert max((i - j).tolist()) == 2**64 - 1 and sorted((k - m).tolist()) == [-1, 1]
EOF
venv/bin/python compare.py
