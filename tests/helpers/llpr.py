"""metatrain's LLPR of the water model that ships, made in seconds: uncertainties, an ensemble."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ase.io
from ase import Atoms

from halfkick.models.load import find_checkpoint

FRAMES = 8
MEMBERS = 4
OPTIONS = """
seed: 0
architecture:
  name: llpr
  model: {{num_ensemble_members: {{energy: {members}}}}}
  training: {{model_checkpoint: {checkpoint}, batch_size: 2}}
training_set:
  systems: {{read_from: train.xyz, length_unit: angstrom}}
  targets: {{energy: {{key: energy, unit: eV, forces: false, stress: false}}}}
validation_set:
  systems: {{read_from: validation.xyz, length_unit: angstrom}}
  targets: {{energy: {{key: energy, unit: eV, forces: false, stress: false}}}}
test_set: 0.0
"""


def llpr_of_water(folder: Path) -> Path:
    """Make it from a few of the model's test structures; return the exported model."""
    checkpoint = find_checkpoint("water")
    frames = ase.io.read(checkpoint.with_name("test.xyz"), index=f":{FRAMES}")
    for name, some in ("train", frames[::2]), ("validation", frames[1::2]):
        ase.io.write(folder / f"{name}.xyz", [with_energy_alone(frame) for frame in some])
    options = OPTIONS.format(members=MEMBERS, checkpoint=checkpoint)
    (folder / "options.yaml").write_text(options)
    mtt = [sys.executable, str(Path(sys.executable).with_name("mtt"))]
    command = [*mtt, "train", "options.yaml", "-o", "llpr.pt"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mtt ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr}")
    return folder / "llpr.pt"


def with_energy_alone(frame: Atoms) -> Atoms:
    """The structure and its energy."""
    bare = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
    bare.info["energy"] = frame.get_potential_energy()
    return bare
