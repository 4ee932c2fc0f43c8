#!/usr/bin/env bash
# i-PI 3.3.1, ASE 3.29.0: what does a trajectory of forces with format='ase' hold?
#
# Expected: extended XYZ frames that ASE reads as structures with their forces, ready to train on; and for
# velocities, frames whose get_velocities() gives them.
# Seen: every frame has the right forces, and 0 0 0 as the position of every atom. The same goes for
# velocities, momenta and x_centroid: the quantity is a column of its own and the positions are zero.
# ASE knows a column of momenta; of velocities it does not, so get_velocities() gives 0. Nothing warns.
# Only format='ase' with positions gives structures; forces must be joined to them frame by frame.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile ipi==3.3.1 ase==3.29.0 numpy==2.4.6

cat >start.xyz <<'EOF'
4
Lattice="10 0 0 0 10 0 0 0 10" Properties=species:S:1:pos:R:3 pbc="T T T"
O 0 0 0
H 1 0 0
H 0 1 0
C 3 3 3.123456789
EOF
cat >input.xml <<'EOF'
<simulation verbosity='quiet'>
  <output prefix='out'>
    <trajectory filename='positions' format='ase'> positions </trajectory>
    <trajectory filename='forces' format='ase'> forces </trajectory>
    <trajectory filename='velocities' format='ase'> velocities </trajectory>
    <trajectory filename='momenta' format='ase'> momenta </trajectory>
    <trajectory filename='x_centroid' format='ase'> x_centroid </trajectory>
  </output>
  <total_steps> 2 </total_steps>
  <prng> <seed> 5 </seed> </prng>
  <ffdirect name='springs'> <pes> harmonic </pes> <parameters> {k1: 0.05} </parameters> </ffdirect>
  <system>
    <initialize nbeads='1'>
      <file mode='ase'> start.xyz </file> <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='springs'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'> <dynamics mode='nve'>
      <timestep units='femtosecond'> 0.5 </timestep>
    </dynamics> </motion>
  </system>
</simulation>
EOF
venv/bin/i-pi input.xml >log

cat >look.py <<'EOF'
import glob

import ase.io
import numpy as np


def last(name):
    (path,) = glob.glob(f"out.{name}*.extxyz")
    return ase.io.read(path, index="-1")


atoms = last("positions")
assert np.abs(atoms.positions).max() > 3
for name in "forces", "velocities", "momenta", "x_centroid":
    frame = last(name)
    speed = np.abs(frame.get_velocities()).max()
    print(f"{name:10s} largest position {np.abs(frame.positions).max()}, largest velocity {speed:.3f}")
    assert not frame.positions.any(), name
    assert bool(speed) == (name == "momenta"), name
print("largest force", np.abs(last("forces").get_forces()).max())
assert np.abs(last("forces").get_forces()).max() > 1
np.testing.assert_allclose(last("x_centroid").arrays["x_centroid"], atoms.positions)
assert np.abs(last("velocities").arrays["velocities"]).max() > 0.1
EOF
venv/bin/python look.py
