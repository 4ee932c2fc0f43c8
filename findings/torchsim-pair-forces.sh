#!/usr/bin/env bash
# torch-sim-atomistic 0.3.0 (the last release for Python 3.11): are the forces of its pair potentials the
# gradient of their energies, and does atoms_to_state know that a slab is periodic?
#
# Expected: F = -dE/dx; a structure with pbc = T T F stays periodic in two directions, or is refused.
# Seen: LennardJonesModel and SoftSphereModel give twice the force, with neighbour lists and without: such
# dynamics does not conserve the energy. atoms_to_state takes T T F for F F F with no warning.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile torch-sim-atomistic==0.3.0 ase==3.29.0 torch==2.13.0 numpy==2.4.6

cat >pair.py <<'EOF2'
import torch
from ase import Atoms
from torch_sim.io import atoms_to_state
from torch_sim.models.lennard_jones import LennardJonesModel
from torch_sim.models.soft_sphere import SoftSphereModel

double, cpu = torch.float64, torch.device("cpu")


def atoms(x):
    return Atoms("Ar3", [[0, 0, 0], [x, 0, 0], [0, 2.6, 0]], cell=[20.0] * 3, pbc=True)


for kind, size in ((LennardJonesModel, 2.2), (SoftSphereModel, 4.0)):
    for lists in (False, True):
        model = kind(sigma=size, epsilon=0.1, cutoff=6.0,
                     device=cpu, dtype=double, use_neighbor_list=lists)
        energy = lambda x: model(atoms_to_state(atoms(x), cpu, double))["energy"].item()
        gradient = -(energy(2.4 + 1e-4) - energy(2.4 - 1e-4)) / 2e-4
        force = model(atoms_to_state(atoms(2.4), cpu, double))["forces"][1, 0].item()
        print(f"{kind.__name__}, lists {lists}: force {force:.6f}, -dE/dx {gradient:.6f} eV/Å")
        assert abs(force / gradient - 2) < 1e-3
slab = atoms(2.4)
slab.pbc = (True, True, False)
print("pbc T T F becomes", atoms_to_state(slab, cpu, double).pbc)
assert atoms_to_state(slab, cpu, double).pbc is False
EOF2
OMP_NUM_THREADS=1 venv/bin/python pair.py
