#!/usr/bin/env bash
# torch_geometric 2.7.0 and metatensor-operations 0.5.0: does the order of two imports matter?
#
# Input: `import torch_geometric` (SevenNet and others bring it) and `import metatensor.torch` (metatomic
# brings it) in one process.
# Expected: either order works.
# Seen: torch_geometric puts a Python function in the place of torch.index_select. metatensor compiles its
# operations with TorchScript as it is imported; after torch_geometric that raises RuntimeError "Arguments for
# call are not valid". The other way round both work. So a process that holds a SevenNet and a metatomic model
# has to import metatomic first.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-compile torch==2.13.0 numpy==2.4.6 \
  torch_geometric==2.7.0 metatensor-torch==0.10.8 metatensor-operations==0.5.0

cat >order.py <<'PY'
import sys
import warnings

warnings.simplefilter("ignore")
import torch

original = torch.index_select
try:
    for name in sys.argv[1:]:
        __import__(name)
except RuntimeError as error:
    print("RuntimeError:", str(error).split("\n")[1])
print("torch.index_select is torch's own:", torch.index_select is original)
PY
first=$(venv/bin/python order.py torch_geometric metatensor.torch)
second=$(venv/bin/python order.py metatensor.torch torch_geometric)
echo "torch_geometric first:"; echo "$first"
echo "metatensor.torch first:"; echo "$second"
[[ $first == *"Arguments for call are not valid"* ]]
[[ $second == "torch.index_select is torch's own: False" ]]
