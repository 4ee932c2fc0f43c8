#!/usr/bin/env bash
# i-PI 3.3.1, ASE 3.29.0: what do atom labels such as H2 mean in a start file?
#
# Input: two XYZ files with an atom H2 (a second kind of hydrogen, as topologies number them) and an atom D.
# Expected: like H1 and OW, H2 is unknown and i-PI asks for its mass; D is the same in mode='xyz' and 'ase'.
# Seen: in mode='xyz' i-PI has a table of its own. H1 is unknown (mass -1), H2 silently weighs 2.016, the
# molecule's mass; L, X and Z are entries as well (photon, electron, an atom between H and D). D is 2.0141.
# ASE, which reads for mode='ase', raises KeyError on H2 and on D: there a masses column makes the isotope.
# The same element differs too: Zn is 65.39 in mode='xyz' and 65.38 in mode='ase'.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile ipi==3.3.1 ase==3.29.0 numpy==2.4.6

cat >labels.py <<'EOF'
import io

import ase.io
from ipi.utils.io import read_file

AMU = 1822.8885  # i-PI's own


def mass(label, mode="xyz", columns="species:S:1:pos:R:3", rest=""):
    text = f'1\nLattice="9 0 0 0 9 0 0 0 9" Properties={columns} pbc="T T T"\n{label} 0 0 0 {rest}\n'
    if mode == "ase":
        open("start.xyz", "w").write(text)
        with open("start.xyz") as f:
            return float(read_file("ase", f)["atoms"].m[0]) / AMU
    return float(read_file("xyz", io.StringIO(text))["atoms"].m[0]) / AMU


seen = {label: mass(label) for label in ("H", "H1", "H2", "D", "Z", "OW", "Zn")}
print("mode xyz:", {k: round(v, 5) for k, v in seen.items()})
assert seen["H1"] < 0 and seen["OW"] < 0
assert abs(seen["H2"] - 2.016) < 1e-9 and abs(seen["D"] - 2.0141) < 1e-9
assert abs(seen["Z"] - 1.382943) < 1e-9
for label in "H2", "D":
    try:
        mass(label, "ase")
    except KeyError as e:
        print("mode ase:", label, "KeyError", e)
    else:
        raise SystemExit(f"ASE reads {label}")
heavy = mass("H", "ase", "species:S:1:pos:R:3:masses:R:1", "2.0141")
print("mode ase: H with a masses column", round(heavy, 5))
assert abs(heavy - 2.0141) < 1e-9
zinc = mass("Zn", "ase")
print("Zn: mode xyz", round(seen["Zn"], 5), "mode ase", round(zinc, 5))
assert abs(seen["Zn"] - 65.39) < 1e-9 and abs(zinc - 65.38) < 1e-9
EOF
venv/bin/python labels.py
