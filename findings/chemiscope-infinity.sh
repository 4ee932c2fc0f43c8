#!/usr/bin/env bash
# chemiscope 1.1.0: what does write_input make of a property that is infinite or NaN?
#
# Input: three structures, one of them with an infinite uncertainty.
# Expected: refused, or written as null.
# Seen: the file holds the bare words Infinity and NaN, which JSON does not have: a strict parser (here
# Python's, told to refuse them) rejects the whole file. NaN gives a warning, Infinity none.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile chemiscope==1.1.0 ase==3.29.0 numpy==2.4.6

cat >write.py <<'EOF'
import json
import warnings

import chemiscope
from ase import Atoms

frames = [Atoms("Ar2", [[0, 0, 0], [3 + i, 0, 0]]) for i in range(3)]


def refuse(word):
    raise ValueError(f"not JSON: {word}")


for word, value in ("Infinity", float("inf")), ("NaN", float("nan")):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        chemiscope.write_input("c.json", structures=frames, properties={"u": [1.0, value, 2.0]})
    told = [str(w.message) for w in found if "'u'" in str(w.message)]
    print(word, "- warnings:", told)
    assert bool(told) == (word == "NaN")
    try:
        json.loads(open("c.json").read(), parse_constant=refuse)
    except ValueError as e:
        print("strict parser:", e)
        assert str(e) == f"not JSON: {word}"
    else:
        raise SystemExit("the file is JSON")
EOF
venv/bin/python write.py
