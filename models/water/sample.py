"""Sample liquid water with a water model and label it with SO3LR.

The steps (``--worker`` may be given to several processes at once)::

    python sample.py starts   --out data
    python sample.py dynamics --out data --model water --worker 0 --workers 2

and for frames nearer to equilibrium, of which the first of these models needed some more::

    python sample.py starts   --out long --seed 21 --plan 300:10,340:4,400:2 --densities 0.9 1.1
    python sample.py dynamics --out long --first 1000 --apart 32

Frames of somebody else's dynamics, SO3LR's own for example, are labelled by::

    python sample.py label --out own --frames run/out.positions_0.extxyz@20::5

``starts`` runs a flexible point-charge water (SPC/Fw-like) to decorrelated configurations of many
densities and cell shapes; ``dynamics`` continues each with Langevin dynamics of a water model,
multiple time stepping with its two forces, and labels frames, and a copy of each with a
quantum-like spread of the bonds. Trajectories are named and split in the frames' info. Energies
are relative to isolated relaxed molecules, so that a float32 model resolves them. Units: eV, Å, fs,
amu, K.
"""

import argparse
import logging
from functools import partial
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import find_mic
from ase.optimize import BFGS
from numpy.typing import NDArray
from so3krates_torch.calculator.so3 import SO3LRCalculator

from ..base import Role
from ..distill.sample import ServedForce
from ..dynamics.mts import MTSDynamics
from ..dynamics.particles import thermal_velocities
from ..dynamics.ring_polymer import RingPolymer
from ..frames import read_frames
from ..load import load_model
from .spcfw import PointChargeWater, lattice_water

AMU_PER_A3_IN_G_PER_CM3 = 1.66053907
WATER_MASS = 18.01528
SO3LR_OPTIONS = {"r_max_lr": 12.0, "dispersion_energy_cutoff_lr_damping": 2.0}

N_MOLECULES = 32
VALIDATION_SHARE = 11  # one in so many trajectories is for validation
INNER_FS, STRIDE, RELAXATION_FS = 0.5, 4, 60.0
FRAMES_PER_TRAJECTORY = 20
MAX_FORCE = 40.0  # eV/Å


def random_cell(
    n_molecules: int, density: float, strained: bool, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a cell (3, 3; rows, Å) of the given density (g/cm3), sheared if ``strained``."""
    volume = n_molecules * WATER_MASS * AMU_PER_A3_IN_G_PER_CM3 / density
    shape = np.eye(3)
    if strained:
        shape += np.triu(rng.uniform(-0.10, 0.10, (3, 3)))
    return shape * (volume / np.linalg.det(shape)) ** (1 / 3)


def make_starts(options: argparse.Namespace) -> None:
    """Write ``starts.xyz``: one configuration per trajectory, its temperature and split in info."""
    rng = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    torch.set_default_dtype(torch.float64)
    pairs = [pair.split(":") for pair in options.plan.split(",")]
    temperatures = [float(t) for t, count in pairs for _ in range(int(count))]
    n_validation = max(1, len(temperatures) // VALIDATION_SHARE)
    validation = set(rng.choice(len(temperatures), n_validation, replace=False).tolist())
    cells = [
        random_cell(N_MOLECULES, rng.uniform(*options.densities), rng.random() < 0.5, rng)
        for _ in temperatures
    ]
    model = PointChargeWater(torch.tensor(np.array(cells)), N_MOLECULES)
    positions = torch.tensor(np.array([lattice_water(N_MOLECULES, cell, rng) for cell in cells]))
    positions = model.equilibrate(positions, [(100.0, 300), (600.0, 1500), (330.0, 2000)])
    starts = []
    for k in rng.permutation(len(cells)):
        atoms = Atoms("OHH" * N_MOLECULES, positions=positions[k].numpy(), cell=cells[k], pbc=True)
        split = "validation" if k in validation else "train"
        atoms.info |= {"temperature_K": temperatures[k], "split": split}
        starts.append(atoms)
    ase.io.write(options.out / "starts.xyz", starts)


def rotation(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Rotation matrix about ``axis`` (3,) by ``angle`` (rad)."""
    x, y, z = axis / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def spread_like_a_bead(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Copy with a ring-polymer-like spread of stretches, bends and librations.

    Stretches get 0.07 Å, bends 8 degrees, librations 8 degrees, centres 0.04 Å (standard
    deviations); one bond in 50 is pulled to 1.15 to 1.35 Å.
    """
    bead = atoms.copy()
    x = bead.positions
    for o in range(0, len(x), 3):
        arms = x[o + 1 : o + 3] - x[o]
        normal = np.cross(arms[0], arms[1])
        bend = np.deg2rad(rng.normal(0, 8.0)) / 2
        arms = np.stack([rotation(normal, -bend) @ arms[0], rotation(normal, bend) @ arms[1]])
        lengths = np.linalg.norm(arms, axis=1)
        new = np.clip(lengths + rng.normal(0, 0.07, 2), 0.78, 1.35)
        new = np.where(rng.random(2) < 0.02, rng.uniform(1.15, 1.35, 2), new)
        turn = rotation(rng.normal(size=3), np.deg2rad(rng.normal(0, 8.0 * np.sqrt(3))))
        arms = (arms * (new / lengths)[:, None]) @ turn.T
        x[o] += rng.normal(0, 0.04, 3)
        x[o + 1 : o + 3] = x[o] + arms
    bead.positions = x
    return bead


def make_whole(atoms: Atoms) -> None:
    """Bring hydrogens back to their oxygen: i-PI leaves them where a wrapped start had them."""
    x = atoms.positions.reshape(-1, 3, 3)
    arms, _ = find_mic((x[:, 1:] - x[:, :1]).reshape(-1, 3), atoms.cell)
    x[:, 1:] = x[:, :1] + arms.reshape(-1, 2, 3)
    atoms.positions = x.reshape(-1, 3)


def label(
    atoms: Atoms, calculator: SO3LRCalculator, molecule: float, info: dict[str, object]
) -> Atoms:
    """Copy with energy (eV, less that of its molecules), forces (eV/Å) and stress (eV/Å3)."""
    torch.set_default_dtype(torch.float64)
    frame = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True, info=info)
    work = frame.copy()
    work.calc = calculator
    frame.calc = SinglePointCalculator(
        frame,
        energy=work.get_potential_energy() - molecule * len(work) / 3,
        forces=work.get_forces(),
        stress=work.get_stress(),
    )
    torch.set_default_dtype(torch.float32)
    return frame


def exact_calculator() -> SO3LRCalculator:
    """SO3LR in double precision."""
    return SO3LRCalculator(default_dtype="float64", compute_stress=True, **SO3LR_OPTIONS)


def trajectory(
    start: Atoms,
    fast: ServedForce,
    slow: ServedForce,
    options: argparse.Namespace,
    rng: np.random.Generator,
) -> list[Atoms]:
    """Frames of the model's own dynamics from ``start``; fewer if it gets too hot."""
    temperature, masses = start.info["temperature_K"], start.get_masses()
    first, interval = (round(t / (INNER_FS * STRIDE)) for t in (options.first, options.apart))
    ring = RingPolymer(
        masses,
        start.positions[None],
        thermal_velocities(masses, 1, temperature, rng),
        temperature,
    )
    dynamics = MTSDynamics(
        ring, partial(fast, start), partial(slow, start),
        timestep_fs=INNER_FS, stride=STRIDE, relaxation_fs=RELAXATION_FS,
    )  # fmt: skip
    frames = []
    for step in range(first + FRAMES_PER_TRAJECTORY * interval):
        dynamics.step(rng)
        if ring.temperature_K > 3 * temperature:
            logging.warning("a trajectory got too hot")
            break
        if step >= first and (step - first) % interval == interval - 1:
            frames.append(Atoms(start.symbols, ring.positions[0], cell=start.cell, pbc=True))
    return frames


def run_dynamics(options: argparse.Namespace) -> None:
    """Run and label every ``workers``-th start; frames are appended to ``part_<worker>.xyz``."""
    torch.set_num_threads(1)
    loaded = load_model(options.model)
    fast, slow = ServedForce(loaded, Role.DIRECT), ServedForce(loaded, Role.CONSERVATIVE)
    exact, molecule = exact_calculator(), isolated_molecule_energy()
    starts = read_frames(options.out / "starts.xyz", ":")
    for index in range(options.worker, len(starts), options.workers):
        start, rng = starts[index], np.random.default_rng([options.seed, index])
        info = {k: start.info[k] for k in ("temperature_K", "split")}
        info["trajectory"] = 1000 * options.seed + index
        start.info["walker"] = index
        frames = []
        for frame in trajectory(start, fast, slow, options, rng):
            spread = spread_like_a_bead(frame, rng)
            frames.append(label(frame, exact, molecule, info | {"kind": "md"}))
            frames.append(label(spread, exact, molecule, info | {"kind": "bead"}))
        frames = below_max_force(frames)
        ase.io.write(options.out / f"part_{options.worker}.xyz", frames, append=True)
        logging.info("start %d, %g K: %d frames", index, info["temperature_K"], len(frames))


def label_frames(options: argparse.Namespace) -> None:
    """Label the frames named, and a copy of every third spread like a bead."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    exact, molecule = exact_calculator(), isolated_molecule_energy()
    info = {"temperature_K": 300.0, "split": "train", "trajectory": 1000 * options.seed}
    frames = []
    for k, frame in enumerate(read_frames(options.frames)):
        make_whole(frame)
        frames.append(label(frame, exact, molecule, info | {"kind": "md"}))
        if k % 3 == 0:
            spread = spread_like_a_bead(frame, rng)
            frames.append(label(spread, exact, molecule, info | {"kind": "bead"}))
    ase.io.write(options.out / "part_0.xyz", below_max_force(frames))


def below_max_force(frames: list[Atoms]) -> list[Atoms]:
    """Frames without a force component of ``MAX_FORCE`` or more."""
    return [frame for frame in frames if np.abs(frame.get_forces()).max() < MAX_FORCE]


def isolated_molecule_energy() -> float:
    """SO3LR energy (eV) of one relaxed water molecule, the zero of the energies written."""
    water = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    water.calc = SO3LRCalculator(default_dtype="float64", **SO3LR_OPTIONS)
    BFGS(water, logfile=None).run(fmax=1e-4, steps=200)
    return float(water.get_potential_energy())


def main() -> None:
    """Read the command line and run one step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    steps = {"starts": make_starts, "dynamics": run_dynamics, "label": label_frames}
    add("step", choices=steps)
    add("--out", type=Path, default=Path("data"))
    add("--seed", type=int, default=20)
    add("--plan", default="300:24,400:16,500:12,600:6", help="K: trajectories, …")
    add("--densities", type=float, nargs=2, default=(0.86, 1.16), help="lowest, highest, g/cm3")
    add("--model", default="water", help="whose dynamics")
    add("--first", type=float, default=120.0, help="fs before frames are taken")
    add("--apart", type=float, default=16.0, help="fs between them")
    add("--frames", help="FILE@SLICE to label")
    add("--worker", type=int, default=0)
    add("--workers", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    steps[options.step](options)


if __name__ == "__main__":
    main()
