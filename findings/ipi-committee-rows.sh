#!/usr/bin/env bash
# i-PI 3.3.1: does <ffcommittee> take the ensemble of forces that i-PI's own metatomic driver sends?
#
# Expected: with force_virial_ensemble the extras of the driver make a committee over one force field.
# Seen: the driver sends committee_force and committee_virial of all members in one row. The committee counts the
# numbers of the row as members, and raises in its polling thread: the run hangs. With a row for each member it works.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile ipi==3.3.1 numpy==2.4.6 setuptools==80.9.0

cat >committee.py <<'EOF'
import inspect

import numpy as np
from ipi.engine.forcefields import FFCommittee
from ipi.pes.metatomic import MetatomicDriver

forces, virials = np.arange(12.0).reshape(2, 6), np.arange(18.0).reshape(2, 9)  # 2 members, 2 atoms


class Child:
    name = "child"

    def release(self, request):
        pass


def gather(force, virial):
    extras = {"committee_pot": [1.0, 2.0], "committee_force": force, "committee_virial": virial}
    child = {"result": [1.5, forces[0], virials[0].reshape(3, 3), extras], "status": "Done"}
    request = {"pos": np.zeros(6), "ff_handles": [child]}
    FFCommittee(fflist=[Child()], parse_json=True).gather(request)
    return request["result"][1]


sent = inspect.getsource(MetatomicDriver._process_ensemble)
print("the driver sends one row:", 'extras_dict["committee_force"] = list(force_ensemble.flatten())' in sent)
assert 'extras_dict["committee_force"] = list(force_ensemble.flatten())' in sent
print("a row for each member:", gather(forces.tolist(), virials.tolist()))
assert np.allclose(gather(forces.tolist(), virials.tolist()), forces.mean(axis=0))
try:
    gather(list(forces.flatten()), list(virials.flatten()))
except ValueError as error:
    print("one row:", error)
    assert "we need *all* components" in str(error)
else:
    raise SystemExit("one row is taken now")
EOF
venv/bin/python committee.py
