#!/usr/bin/env bash
# i-PI 3.3.1: does i-pi-getproperty print the property that it is asked for?
#
# Input: i-PI's own property file with pressure_md and kinetic_md, two temperatures and a vector.
# Expected: the column of that name; an error and an exit code where there is none.
# Seen: it takes the first letters and reads the name as a regular expression.
# - "pressure" and "kinetic" are not in the file: it prints pressure_md and kinetic_md.
# - "temperature" with temperature{kelvin} and temperature(O){kelvin}: prints a warning, no number, exits with 0.
# - "temperature(O)", as written in the header: "Could not find", exit code 0; "temperature\(O\)" finds it.
# - a property of several columns (stress_md): ValueError, since only "column", not "cols.", is understood.
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
    <properties filename='properties'> [step, temperature{kelvin}, temperature(O){kelvin},
      kinetic_md{electronvolt}, pressure_md{megapascal}, stress_md{megapascal}] </properties>
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

get() { venv/bin/i-pi-getproperty out.properties "$@"; }
column() { grep -v '^#' out.properties | awk "{print \$$1}"; }
ask() { # name: prints what came and the exit code
    local rc=0
    get "$1" >answer 2>error || rc=$?
    echo "$1: exit $rc: $(cat answer error | tail -n 1)"
    code=$rc
}

grep '^#' out.properties | cut -c -60
ask pressure
[ "$code" = 0 ]
diff answer <(column 5)
ask kinetic
[ "$code" = 0 ]
diff answer <(column 4)
ask temperature
[ "$code" = 0 ]
grep -q 'Multiple instances' answer error
[ "$(grep -c '^[0-9-]' answer)" = 0 ]
ask 'temperature(O)'
[ "$code" = 0 ]
grep -q 'Could not find' answer error
ask 'temperature\(O\)'
diff answer <(column 3)
ask stress_md
[ "$code" != 0 ]
grep -q 'ValueError: invalid literal' error
