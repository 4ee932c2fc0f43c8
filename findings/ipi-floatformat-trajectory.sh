#!/usr/bin/env bash
# i-PI 3.3.1, ASE 3.29.0: does <simulation floatformat='%24.16e'> give full precision in every output?
#
# Expected: yes, in properties, checkpoint and trajectories.
# Seen: in properties and checkpoint only. Trajectories keep six digits (xyz), eight decimals (ase) and three
# (pdb): 3.123456789 is written as 3.12346, 3.12345679 and 3.123. In xyz an atom beyond 10 A, as in an
# unwrapped trajectory, moves in steps of 1e-4 A.
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
<simulation verbosity='quiet' floatformat='%24.16e'>
  <output prefix='out'>
    <trajectory filename='xyz' format='xyz'> positions{angstrom} </trajectory>
    <trajectory filename='ase' format='ase'> positions </trajectory>
    <trajectory filename='pdb' format='pdb'> positions </trajectory>
    <properties filename='properties'> [atom_x{angstrom}(atom=3)] </properties>
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

first() { grep -m 1 "$1" "$2"; }
xyz=$(first ' C ' out.xyz_0.xyz | awk '{print $4}')
ase=$(first '^C ' out.ase_0.extxyz | awk '{print $4}')
pdb=$(first ' C ' out.pdb_0.pdb | awk '{print $8}')
echo "written: 3.123456789; read: xyz $xyz, ase $ase, pdb $pdb"
echo "the property: $(grep -v '^#' out.properties | head -n 1)"
[ "$xyz" = 3.12346e+00 ]
[ "$ase" = 3.12345679 ]
[ "$pdb" = 3.123 ]
grep -v '^#' out.properties | head -n 1 | grep -Eq '[0-9]\.[0-9]{16}e'
