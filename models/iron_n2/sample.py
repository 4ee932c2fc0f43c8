"""Sample nitrogen on iron and label it with SevenNet-0.

First without a model, then with the dynamics of one trained on what came before; ``start`` makes
what the scenarios begin from::

    python -m halfkick.models.iron_n2.sample rattled  --out rattled.xyz
    python -m halfkick.models.iron_n2.sample dynamics --out second.xyz --model first.pt --seed 1
    python -m halfkick.models.iron_n2.sample start    --out init.xyz --model iron_n2.pt

``rattled``: bulk bcc iron, its (110) and (111) surfaces, N2 in the gas, over and on the surfaces
and taken apart on them, all displaced at random. ``dynamics``: Langevin dynamics of the model's
conservative forces at 300 to 1200 K from such starts, the molecule pushed at the surface with up to
six electron volts; a frame every ``--apart`` fs is labelled. Everything is periodic in three
directions, surfaces with 14 Å of vacuum; only bulk iron has a stress. Trajectories are named and
split in the frames' info. Units: eV, Å, fs, amu, K.
"""

import argparse
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import ase.build
import ase.io
import ase.units
import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import get_distances

from ..base import Role
from ..distill.sample import ServedForce
from ..dynamics.mts import MTSDynamics
from ..dynamics.particles import thermal_velocities
from ..dynamics.ring_polymer import RingPolymer
from ..dynamics.units import ACCELERATION
from ..load import load_model

LATTICE = 2.844  # Å, of SevenNet-0's bcc iron
VACUUM = 14.0  # Å, between a surface and its image
BOND = 1.115  # Å, of SevenNet-0's N2
OVER = np.array([-4.0, -4.0, 4.5])  # Å, a molecule from the last corner of the slab
N_MASS = 14.007
ATOMIC_VELOCITY = ase.units.Bohr / (ase.units._aut * 1e15)  # Å/fs
MAX_FORCE = 20.0  # eV/Å
CLOSEST = {"Fe": 1.45, "N": 0.85}  # Å, of a nitrogen atom to others
TIMESTEP_FS, RELAXATION_FS = 0.5, 100.0
SPLITS = {5: "test", 11: "validation"}
"""Of twelve structures or trajectories of a kind; the others are for training."""
TEMPERATURES_K = (300.0, 500.0, 700.0, 900.0, 1200.0)

Rng = np.random.Generator


def bulk(rng: Rng) -> Atoms:
    """Iron in a cell of 16 atoms, strained and sheared by up to 4 %."""
    atoms = ase.build.bulk("Fe", "bcc", LATTICE, cubic=True).repeat(2)
    strain = np.triu(rng.uniform(-0.04, 0.04, (3, 3)))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def surface(rng: Rng) -> Atoms:
    """A slab of (110) or (111) in a cell strained by up to 2 %, its normal along z."""
    if rng.random() < 0.7:
        size = (2, 4, 4) if rng.random() < 0.5 else (3, 2, 4)
        slab = ase.build.bcc110("Fe", size, LATTICE, VACUUM / 2, orthogonal=True)
    else:
        slab = ase.build.bcc111("Fe", (2, 2, 6), LATTICE, VACUUM / 2, orthogonal=True)
    slab.pbc = True
    scale = 1 + np.append(rng.uniform(-0.02, 0.02, 2), 0.0)
    slab.set_cell(slab.cell.array * scale, scale_atoms=True)
    return slab


def direction(rng: Rng) -> np.ndarray:
    """A random unit vector, shape (3,)."""
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)


def gas(rng: Rng, molecules: int = 2) -> Atoms:
    """N2 in a box of 9 Å, bonds of 0.95 to 1.5 Å."""
    atoms = Atoms(cell=[9.0, 9.0, 9.0], pbc=True)
    for _ in range(molecules):
        arm = direction(rng) * rng.uniform(0.95, 1.5) / 2
        add(atoms, lambda: rng.random(3) * 9.0, arm)
    return atoms


def add(atoms: Atoms, somewhere: Callable[[], np.ndarray], arm: np.ndarray) -> None:
    """Add N2, its centre where it is far enough from all others; ``arm`` (3,): centre to atom."""
    least = np.array([CLOSEST[symbol] for symbol in atoms.symbols])
    for _ in range(1000):
        centre = somewhere()
        pair = centre + np.outer([1, -1], arm)
        if len(atoms):
            distances = get_distances(pair, atoms.positions, atoms.cell, atoms.pbc)[1]
            if (distances < least).any():
                continue
        atoms += Atoms("N2", pair)
        return
    raise RuntimeError("no room for a molecule")


def adsorbed(rng: Rng, heights: tuple[float, float], bonds: tuple[float, float]) -> Atoms:
    """A surface and N2 with its centre that high (Å) over the topmost atoms, at any angle."""
    slab = surface(rng)
    top = slab.positions[:, 2].max()

    def over() -> np.ndarray:
        place = rng.random(2) @ slab.cell.array[:2, :2]
        return np.append(place, top + rng.uniform(*heights))

    arm = direction(rng) * rng.uniform(*bonds) / 2
    if rng.random() < 0.4:
        arm[2] *= 0.2  # flat
    add(slab, over, arm * rng.uniform(*bonds) / 2 / np.linalg.norm(arm))
    return slab


KINDS: dict[str, tuple[int, Callable[[Rng], Atoms]]] = {
    "bulk": (60, bulk),
    "surface": (60, surface),
    "gas": (50, gas),
    "over": (90, partial(adsorbed, heights=(2.5, 6.0), bonds=(0.95, 1.45))),
    "on": (120, partial(adsorbed, heights=(0.9, 2.5), bonds=(1.0, 1.5))),
    "apart": (60, partial(adsorbed, heights=(0.5, 1.6), bonds=(1.5, 3.2))),
}
"""How many frames of each, and how they are made."""

PUSHED = {"bulk": 6, "surface": 9, "gas": 5, "over": 24, "on": 14, "apart": 6}
"""How many trajectories of each kind."""


def rattled(options: argparse.Namespace) -> Iterator[Atoms]:
    """Structures displaced at random, as far as atoms go at 100 to 1200 K."""
    rng = np.random.default_rng(options.seed)
    for kind, (count, make) in KINDS.items():
        for index in range(round(count * options.share)):
            atoms = make(rng)
            iron = atoms.symbols == "Fe"
            width = np.where(iron, rng.uniform(0.03, 0.14), 0.02)
            atoms.positions += rng.normal(size=(len(atoms), 3)) * width[:, None]
            atoms.info |= {"kind": kind, "split": SPLITS.get(index % 12, "train")}
            yield atoms


def dynamics(options: argparse.Namespace) -> Iterator[Atoms]:
    """Frames of a model's own dynamics."""
    model = load_model(options.model)
    fast, slow = ServedForce(model, Role.DIRECT), ServedForce(model, Role.CONSERVATIVE)
    index = 0
    for kind, count in PUSHED.items():
        for _ in range(round(count * options.share)):
            rng = np.random.default_rng([options.seed, index])
            start = KINDS[kind][1](rng)
            temperature = float(rng.choice(options.temperatures))
            split = SPLITS.get(index % 12, "train")
            start.info |= {"kind": kind, "split": split, "temperature_K": temperature}
            start.info |= {"walker": index, "trajectory": 1000 * options.seed + index}
            yield from trajectory(start, fast, slow, options, rng)
            index += 1


def push(atoms: Atoms, velocities: np.ndarray, rng: Rng, most: float) -> None:
    """Send the molecules towards -z with up to ``most`` eV in all, in place (N, 3; Å/fs)."""
    nitrogen = atoms.symbols == "N"
    energy = most * rng.random() ** 2
    speed = np.sqrt(2 * energy * ACCELERATION / (N_MASS * nitrogen.sum()))
    heading = np.array([*rng.normal(scale=0.3, size=2), -1.0])
    velocities[nitrogen] += speed * heading / np.linalg.norm(heading)


def trajectory(
    start: Atoms, fast: ServedForce, slow: ServedForce, options: argparse.Namespace, rng: Rng
) -> Iterator[Atoms]:
    """Frames of the model's dynamics from one start; fewer if it flies apart."""
    masses, temperature = start.get_masses(), start.info["temperature_K"]
    velocities = thermal_velocities(masses, 1, temperature, rng)
    if start.info["kind"] == "over":
        push(start, velocities[0], rng, options.push)
    ring = RingPolymer(masses, start.positions[None], velocities, temperature)
    simulation = MTSDynamics(
        ring, partial(fast, start), partial(slow, start),
        timestep_fs=TIMESTEP_FS, stride=options.stride, relaxation_fs=RELAXATION_FS,
    )  # fmt: skip
    interval = round(options.apart / (TIMESTEP_FS * options.stride))
    for step in range(1, options.frames * interval + 1):
        simulation.step(rng)
        largest = np.linalg.norm(simulation.force + simulation.gap, axis=-1).max()
        if not (largest < 2 * MAX_FORCE and ring.temperature_K < 8000.0):
            logging.warning("trajectory %d flew apart", start.info["trajectory"])
            return
        if step % interval == 0:
            frame = start.copy()
            frame.positions = ring.positions[0]
            del frame.info["walker"]
            yield frame


def write_start(options: argparse.Namespace) -> None:
    """Write a warm slab with a molecule on its way to it, and the velocities beside it for i-PI."""
    rng = np.random.default_rng(options.seed)
    slab = ase.build.bcc110("Fe", (3, 4, 4), LATTICE, VACUUM / 2, orthogonal=True)
    slab.pbc = True
    slab.info |= {"walker": 0}
    model = load_model(options.model)
    fast, slow = ServedForce(model, Role.DIRECT), ServedForce(model, Role.CONSERVATIVE)
    masses, (temperature, *_) = slab.get_masses(), options.temperatures
    velocities = thermal_velocities(masses, 1, temperature, rng)
    ring = RingPolymer(masses, slab.positions[None], velocities, temperature)
    simulation = MTSDynamics(
        ring, partial(fast, slab), partial(slow, slab),
        timestep_fs=TIMESTEP_FS, stride=options.stride, relaxation_fs=RELAXATION_FS,
    )  # fmt: skip
    for _ in range(round(2000.0 / (TIMESTEP_FS * options.stride))):
        simulation.step(rng)
    start = Atoms(slab.symbols, ring.positions[0], cell=slab.cell, pbc=True)
    add(start, lambda: start.positions[:48].max(0) + OVER, direction(rng) * BOND / 2)
    molecule = thermal_velocities(np.full(2, N_MASS), 1, temperature, rng)[0]
    velocities = np.concatenate([ring.velocities[0], molecule])
    push(start, velocities, rng, options.push)
    masses = start.get_masses()[:, None]
    velocities -= (masses * velocities).sum(0) / masses.sum()
    start.wrap()
    ase.io.write(options.out, start, format="extxyz", columns=["symbols", "positions"])
    lines = [f"{s} {x:.10e} {y:.10e} {z:.10e}" for s, (x, y, z) in
             zip(start.symbols, velocities / ATOMIC_VELOCITY, strict=True)]  # fmt: skip
    lines = [str(len(start)), "# velocities{atomic_unit}", *lines]
    options.out.with_name("velocities.xyz").write_text("\n".join(lines) + "\n")


def label(atoms: Atoms, calculator: Calculator) -> Atoms:
    """Copy with energy (eV), forces (eV/Å) and, of bulk iron, stress (eV/Å3)."""
    frame = atoms.copy()
    atoms.calc = calculator
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    if atoms.info["kind"] == "bulk":
        labels["stress"] = atoms.get_stress()
    atoms.calc = None
    frame.arrays.pop("initial_magmoms", None)  # which ase.build gives iron
    frame.calc = SinglePointCalculator(frame, **labels)
    return frame


def teacher(name: str) -> Calculator:
    """SevenNet-0, or CHGNet as a second opinion.

    metatomic comes first: torch_geometric, which SevenNet brings, replaces functions of torch by
    others that TorchScript cannot compile.
    """
    import metatomic.torch  # noqa: F401

    if name == "chgnet":
        from chgnet.model.dynamics import CHGNetCalculator

        return CHGNetCalculator(use_device="cpu", verbose=False)
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(model=name, device="cpu")


def main() -> None:
    """Read the command line; sample and label."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_option = parser.add_argument
    steps = {"rattled": rattled, "dynamics": dynamics}
    add_option("step", choices=[*steps, "start"])
    add_option("--out", type=Path, required=True)
    add_option("--seed", type=int, default=0)
    add_option("--model", help="whose dynamics")
    add_option("--teacher", default="7net-0", help="7net-0 or chgnet")
    add_option("--share", type=float, default=1.0, help="of the frames or trajectories")
    add_option("--temperatures", type=float, nargs="+", default=TEMPERATURES_K)
    add_option("--push", type=float, default=6.0, help="most energy of a molecule, eV")
    add_option("--stride", type=int, default=2)
    add_option("--apart", type=float, default=20.0, help="fs between frames")
    add_option("--frames", type=int, default=8, help="of a trajectory")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    if options.step == "start":
        write_start(options)
        return
    calculator = teacher(options.teacher)
    options.out.unlink(missing_ok=True)
    for number, atoms in enumerate(steps[options.step](options), 1):
        frame = label(atoms, calculator)
        if np.abs(frame.get_forces()).max() < MAX_FORCE:
            ase.io.write(options.out, frame, format="extxyz", append=True)
        if number % 50 == 0:
            logging.info("%d frames", number)


if __name__ == "__main__":
    main()
