#!/usr/bin/env bash
# i-PI 3.3.1: what does a row of output cost?
#
# Expected: a write, and a flush of Python's buffer (the attribute is called flush, its default 1).
# Seen: a wait until the disk has it. fsync is called after each row of properties and each frame of a
# trajectory, 402 times here in 200 steps. On the disk this was written on one took 3 to 4 ms; a pass of
# a small model takes 8. flush='50' waits once in 50 rows, but those in between stay in the process:
# what kills it takes up to 50 rows with it.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile ipi==3.3.1 ase==3.29.0 numpy==2.4.6

cat >start.xyz <<'EOF'
2
Lattice="10 0 0 0 10 0 0 0 10" Properties=species:S:1:pos:R:3 pbc="T T T"
O 0 0 0
H 1 0 0
EOF
cat >each.xml <<'EOF'
<simulation verbosity='quiet'>
  <output prefix='out'>
    <properties filename='properties' flush='1'> [step, temperature{kelvin}] </properties>
    <trajectory filename='positions' flush='1'> positions </trajectory>
  </output>
  <total_steps> 200 </total_steps>
  <ffdirect name='springs'> <pes> harmonic </pes> <parameters> {k1: 0.05} </parameters> </ffdirect>
  <system>
    <initialize nbeads='1'> <file mode='ase'> start.xyz </file> </initialize>
    <forces> <force forcefield='springs'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'> <dynamics mode='nve'>
      <timestep units='femtosecond'> 0.5 </timestep>
    </dynamics> </motion>
  </system>
</simulation>
EOF
sed "s/ flush='1'//" each.xml >default.xml
sed "s/flush='1'/flush='50'/" each.xml >seldom.xml

cat >count.py <<'EOF'
import os, runpy, sys, time

real, calls, waited = os.fsync, 0, 0.0


def counted(file):
    global calls, waited
    calls += 1
    start = time.perf_counter()
    real(file)
    waited += time.perf_counter() - start
    with open("calls", "w") as total:
        total.write(f"{calls} {1e3 * waited / calls:.1f}\n")


os.fsync = counted
sys.argv = ["i-pi", sys.argv[1]]
runpy.run_path("venv/bin/i-pi", run_name="__main__")
EOF

declare -A count
for input in default each seldom; do
    rm -f out.* RESTART
    venv/bin/python count.py "$input.xml" >log
    read -r count[$input] ms <calls
    echo "$input: fsync ${count[$input]} times in 200 steps with two outputs, $ms ms each"
done
[ "${count[default]}" -ge 400 ]
[ "${count[each]}" -ge 400 ]
[ "${count[seldom]}" -lt 20 ]
