#!/usr/bin/env bash
# i-PI 3.3.1: does an xyz file of velocities say its units as one of positions does?
#
# Input: <velocities mode='xyz'> of a file whose comment says velocities{m/s}; i-PI's own name of that unit.
# Expected: 1000 m/s for an argon atom: 1/2 m v^2 = 0.2070 eV.
# Seen: the comment is matched by {[A-Za-z_]*}, which has no slash, so the unit is left out without a word and
# the number is taken as atomic units: 2.2 million times faster. velocities{atomic_unit} is read, and so is
# units='m/s' in the tag.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile ipi==3.3.1 numpy==2.4.6

printf '1\n# CELL(abcABC): 50 50 50 90 90 90 positions{angstrom} cell{angstrom}\nAr 0 0 0\n' >init.xyz
energy() { # comment, attribute -> kinetic energy in eV
  printf '1\n# %s\nAr %s 0 0\n' "$1" "$3" >velocities.xyz
  cat >input.xml <<XML
<simulation verbosity='quiet'>
  <output prefix='out'><properties filename='p'> [ kinetic_md{electronvolt} ] </properties></output>
  <total_steps> 1 </total_steps>
  <ffdirect name='f'> <pes> dummy </pes> </ffdirect>
  <system>
    <initialize nbeads='1'>
      <file mode='xyz'> init.xyz </file>
      <velocities mode='xyz' $2> velocities.xyz </velocities>
    </initialize>
    <forces> <force forcefield='f'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'> <timestep units='femtosecond'> 0.1 </timestep> </dynamics>
      <fixcom> False </fixcom>
    </motion>
  </system>
</simulation>
XML
  rm -f out.*
  venv/bin/i-pi input.xml >/dev/null 2>&1
  grep -v '#' out.p | head -1 | tr -d ' '
}
comment=$(energy 'velocities{m/s}' '' 1000)
tag=$(energy 'velocities' "units='m/s'" 1000)
atomic=$(energy 'velocities{atomic_unit}' '' 4.5710289e-4)
echo "comment velocities{m/s}: $comment eV; tag units='m/s': $tag eV; velocities{atomic_unit}: $atomic eV"
venv/bin/python - "$comment" "$tag" "$atomic" <<'PY'
import sys

comment, tag, atomic = map(float, sys.argv[1:])
assert abs(tag - 0.2070) < 1e-3 and abs(atomic - 0.2070) < 1e-3
assert abs(comment / tag * 4.5710289e-7**2 - 1) < 1e-3
PY
