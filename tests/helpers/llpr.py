"""metatrain's LLPR of the water model that ships, made in seconds: uncertainties, an ensemble."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import ase.io
from ase import Atoms

from halfkick.models.load import find_checkpoint

PAGE = Path(__file__).parents[2] / "driver" / "server" / "README.md"
FRAMES = 8
MEMBERS = 4


def llpr_of_water(folder: Path) -> Path:
    """Make it as the page says, from a few of the model's test structures; the exported model."""
    checkpoint = find_checkpoint("water")
    frames = ase.io.read(checkpoint.with_name("test.xyz"), index=f":{FRAMES}")
    for name, some in ("train", frames[::2]), ("validation", frames[1::2]):
        ase.io.write(folder / f"{name}.xyz", [with_energy_alone(frame) for frame in some])
    (options,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    options = options.replace("energy: 8", f"energy: {MEMBERS}").replace(
        "pet.ckpt", f"{checkpoint}"
    )
    (folder / "options.yaml").write_text(f"seed: 0\n{options}")
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
