"""Find the stride: constant-energy runs of the shipped model for several strides and seeds.

Each run is the scenario ``water_nve_mts`` with another stride, seed, length and, if asked,
structure, started with fresh velocities::

    python stride.py --strides 2 4 8 --seeds 1 2 3 --ps 5 --init test.xyz@0 --out runs

The drift is the slope of a straight line fitted to the conserved quantity; its error is that of
the fit, widened for correlated residuals.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import ase.io
from ase import Atoms

INNER_STEP = 0.5  # fs


def write_input(scenario: Path, init: str, folder: Path, stride: int, seed: int, ps: float) -> Path:
    """Copy the scenario with another structure (ASE's FILE@INDEX), stride, seed and length (ps)."""
    folder.mkdir(parents=True, exist_ok=True)
    xml = (scenario / "input.xml").read_text()
    steps = round(ps * 1000 / (stride * INNER_STEP))
    address = f"{folder.resolve()}/"
    for pattern, value in (
        (r"<nmts>[^<]*</nmts>", f"<nmts> [1, {stride}] </nmts>"),
        (r"(<timestep[^>]*>)[^<]*", rf"\g<1> {stride * INNER_STEP} "),
        (r"<seed>[^<]*</seed>", f"<seed> {seed} </seed>"),
        (r"<total_steps>[^<]*</total_steps>", f"<total_steps> {steps} </total_steps>"),
        (r"<simulation ", f"<simulation sockets_prefix='{address}' "),
    ):
        xml, count = re.subn(pattern, value, xml)
        if count == 0:
            raise SystemExit(f"expected {pattern} in {scenario}/input.xml, found none")
    (folder / "input.xml").write_text(xml)
    frame = ase.io.read(init)
    ase.io.write(folder / "init.xyz", Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=1))
    return folder / "input.xml"


def main() -> None:
    """Run what is asked for and print a row for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strides", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--ps", type=float, default=5.0)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    here = Path(__file__).resolve().parents[2] / "ipi_inputs" / "water_nve_mts"
    parser.add_argument("--scenario", type=Path, default=here)
    parser.add_argument("--init", help="structure; default: that of the scenario")
    options = parser.parse_args()
    init = options.init or str(options.scenario / "init.xyz")
    print("stride seed  drift(meV/atom/ps)  error  temperature(K)  ms/inner step", flush=True)
    for stride in options.strides:
        for seed in options.seeds:
            folder = options.out / f"m{stride}_s{seed}"
            path = write_input(options.scenario, init, folder, stride, seed, options.ps)
            command = [sys.executable, "-m", "halfkick.driver", "run", str(path)]
            subprocess.run(
                [*command, "--threads", options.threads], stdout=subprocess.DEVNULL, check=False
            )
            s = json.loads((folder / "summary.json").read_text())
            print(
                f"{stride:6d} {seed:4d}  {s['drift_meV_per_atom_ps']:18.3f} {s['drift_error']:6.3f}"
                f"  {s['temperature_K']:14.1f}  {s['ms_per_inner_step']:13.1f}  {s['state']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
