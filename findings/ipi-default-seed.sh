#!/usr/bin/env bash
# i-PI 3.3.1: is a run without <prng> reproducible?
#
# Expected: yes. Older versions, and inputs written for them, had the fixed seed 123456.
# Seen: no. The seed is the clock, in milliseconds: two runs of one input draw other velocities.
# <prng> <seed> 123456 </seed> </prng> brings the fixed seed back.
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
cat >clock.xml <<'EOF'
<simulation verbosity='quiet'>
  <output prefix='out'>
    <properties filename='properties'> [step, temperature{kelvin}] </properties>
  </output>
  <total_steps> 2 </total_steps>
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

sed 's|<ffdirect|<prng> <seed> 123456 </seed> </prng> <ffdirect|' clock.xml >fixed.xml
for input in clock fixed; do
    for run in 1 2; do
        rm -f out.properties
        venv/bin/i-pi "$input.xml" >log
        grep -v '^#' out.properties | head -n 1 >"$input$run"
        echo "$input seed, run $run, step and kelvin: $(cat "$input$run")"
    done
done
cmp fixed1 fixed2
if cmp -s clock1 clock2; then
    echo "the default seed is fixed"
    exit 1
fi
