"""Measure the shipped water model: errors, gap between its two forces, drift, cost.

::

    python evaluate.py errors                       # held-out frames, per head and species
    python evaluate.py equilibrate --out runs       # writes runs/init.xyz
    python evaluate.py nve --out runs --ps 5        # conservative NVE; writes runs/nve.xyz
    python evaluate.py hot --out runs --ps 2        # 600 K: do the molecules stay whole?
    python evaluate.py gap --out runs               # on the frames of runs/nve.xyz
    python evaluate.py speed --threads 2            # 64 molecules

Units: eV, Å, fs, K; errors are printed in meV and Å, pressures in bar.
"""

import argparse
import time
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet
from metatomic_ase import MetatomicCalculator

HERE = Path(__file__).parent
SEED = 7
BAR = units.bar


def calculator(model: Path, direct: bool) -> MetatomicCalculator:
    """ASE calculator of one head: conservative, or direct forces and stress."""
    return MetatomicCalculator(model, non_conservative=direct, device="cpu", neighbor_skin=0.7)


def rms(values: np.ndarray) -> float:
    """Root mean square of all ``values``."""
    return float(np.sqrt(np.mean(np.square(values))))


def by_species(difference: np.ndarray, numbers: np.ndarray) -> str:
    """RMSE per component (meV/Å) of ``difference`` (n, 3; eV/Å): all, O, H."""
    parts = {"all": difference, "O": difference[numbers == 8], "H": difference[numbers == 1]}
    return ", ".join(f"{k} {1e3 * rms(v):.1f}" for k, v in parts.items())


def predictions(frames: list[Atoms], model: Path, direct: bool) -> dict[str, np.ndarray]:
    """Energy per atom (f,), forces (all atoms, 3) and stress (f, 6) of ``frames``."""
    calc = calculator(model, direct)
    energies, forces, stresses = [], [], []
    for frame in frames:
        atoms = frame.copy()
        atoms.calc = calc
        stresses.append(atoms.get_stress())
        forces.append(atoms.get_forces())
        energies.append(atoms.get_potential_energy() / len(atoms))
    return {"e": np.array(energies), "f": np.concatenate(forces), "s": np.array(stresses)}


def print_errors(title: str, frames: list[Atoms], model: Path) -> None:
    """Errors of both heads on labelled ``frames``."""
    numbers = np.concatenate([f.numbers for f in frames])
    labels = {
        "e": np.array([f.get_potential_energy() / len(f) for f in frames]),
        "f": np.concatenate([f.get_forces() for f in frames]),
        "s": np.array([f.get_stress() for f in frames]),
    }
    print(f"{title}: {len(frames)} frames, RMS force {1e3 * rms(labels['f']):.0f} meV/Å")
    for direct in (False, True):
        found = predictions(frames, model, direct)
        pressure = (found["s"] - labels["s"])[:, :3].mean(1) / BAR
        energy = 1e3 * (found["e"] - labels["e"])
        print(
            f"  {'direct' if direct else 'conservative'}: "
            f"force RMSE {by_species(found['f'] - labels['f'], numbers)} meV/Å; "
            f"stress RMSE {rms(found['s'] - labels['s']) / BAR:.0f} bar, "
            f"trace/3 mean error {pressure.mean():.0f} RMSE {rms(pressure):.0f} bar; "
            f"energy RMSE {rms(energy):.2f}, its scatter {energy.std():.2f} meV/atom"
        )


def errors(options: argparse.Namespace) -> None:
    """Held-out frames; with ``--data`` those of that folder, else the shipped ``test.xyz``."""
    folder = options.data or HERE
    for name in ("test", "test_beads"):
        if (folder / f"{name}.xyz").exists():
            frames = ase.io.read(folder / f"{name}.xyz", ":")
            for kind in sorted({f.info["kind"] for f in frames}):
                chosen = [f for f in frames if f.info["kind"] == kind]
                print_errors(f"{name}.xyz, {kind}", chosen, options.model)


def bond_lengths(atoms: Atoms) -> np.ndarray:
    """O-H distances (Å) of molecules stored as O, H, H."""
    x = atoms.positions.reshape(-1, 3, 3)
    apart = (x[:, 1:] - x[:, :1]).reshape(-1, 3)
    fractional = apart @ np.linalg.inv(atoms.cell.array)
    return np.linalg.norm((fractional - np.round(fractional)) @ atoms.cell.array, axis=1)


def thermalised(atoms: Atoms, temperature: float) -> Atoms:
    """Give ``atoms`` normal velocities without net momentum, of exactly ``temperature``."""
    spread = np.sqrt(units.kB * temperature / atoms.get_masses())[:, None]
    velocities = spread * np.random.default_rng(SEED).normal(size=(len(atoms), 3))
    atoms.set_velocities(velocities)
    at_rest(atoms)
    factor = np.sqrt(temperature / atoms.get_temperature())
    atoms.set_velocities(factor * atoms.get_velocities())
    return atoms


def at_rest(atoms: Atoms) -> Atoms:
    """Remove the velocity of the centre of mass."""
    momentum = atoms.get_momenta().sum(0)
    atoms.set_velocities(atoms.get_velocities() - momentum / atoms.get_masses().sum())
    return atoms


def equilibrate(options: argparse.Namespace) -> None:
    """Langevin dynamics at 300 K from ``--start``; writes ``init.xyz`` with velocities."""
    atoms = thermalised(ase.io.read(options.start), 300.0)
    atoms.calc = calculator(options.model, direct=False)
    rng = np.random.default_rng(SEED)
    dynamics = Langevin(
        atoms, 1.0 * units.fs, temperature_K=300.0, friction=0.01 / units.fs, fixcm=False, rng=rng
    )
    dynamics.run(int(1000 * options.ps))
    at_rest(atoms)
    final = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    final.set_velocities(atoms.get_velocities())
    ase.io.write(options.out / "init.xyz", final)
    print(f"{atoms.get_temperature():.0f} K, longest O-H {bond_lengths(atoms).max():.2f} Å")


def run_dynamics(
    options: argparse.Namespace, temperature: float, thermostat: bool, save: str
) -> None:
    """Conservative dynamics of 0.5 fs from ``init.xyz``; prints drift, temperature, O-H range."""
    atoms = thermalised(ase.io.read(options.init), temperature)
    atoms.calc = calculator(options.model, direct=False)
    if thermostat:
        rng = np.random.default_rng(SEED)
        dynamics = Langevin(
            atoms,
            0.5 * units.fs,
            temperature_K=temperature,
            friction=0.005 / units.fs,
            fixcm=False,
            rng=rng,
        )
    else:
        dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    times, totals, kelvins, longest, frames = [], [], [], [], []
    block, steps = 10, int(2000 * options.ps)
    for step in range(0, steps + 1, block):
        times.append(step * 0.5e-3)
        totals.append(1e3 * atoms.get_total_energy() / len(atoms))
        kelvins.append(atoms.get_temperature())
        longest.append(bond_lengths(atoms).max())
        if step % 100 == 0:
            frames.append(Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True))
        if step % 1000 == 0:
            ase.io.write(options.out / save, frames)
            moved = totals[-1] - totals[0]
            print(f"  {times[-1]:.2f} ps: {moved:+.4f} meV/atom, {np.mean(kelvins):.0f} K, "
                  f"longest O-H {max(longest):.2f} Å", flush=True)  # fmt: skip
        if step < steps:
            dynamics.run(block)
    slope = np.polyfit(times, totals, 1)[0]
    noise = rms(np.array(totals) - np.polyval(np.polyfit(times, totals, 1), times))
    print(
        f"{options.ps} ps: total energy {slope:+.4f} meV/atom/ps, scatter {noise:.4f} meV/atom, "
        f"mean {np.mean(kelvins[len(kelvins) // 5 :]):.0f} K, longest O-H {max(longest):.2f} Å"
    )


def gap(options: argparse.Namespace) -> None:
    """Direct minus conservative forces on the model's own frames; stiffness along O-H bonds."""
    frames = ase.io.read(options.out / "nve.xyz", ":")[10:]
    numbers = np.concatenate([f.numbers for f in frames])
    conservative = predictions(frames, options.model, direct=False)
    direct = predictions(frames, options.model, direct=True)
    difference = direct["f"] - conservative["f"]
    tails = [np.quantile(np.abs(difference[numbers == z]), 0.999) for z in (8, 1)]
    pressure = (direct["s"] - conservative["s"])[:, :3].mean(1) / BAR
    print(f"gap on {len(frames)} own frames: RMSE {by_species(difference, numbers)} meV/Å; "
          f"99.9th percentile O {1e3 * tails[0]:.0f}, H {1e3 * tails[1]:.0f} meV/Å; "
          f"trace/3 of stress: mean {pressure.mean():.0f}, RMSE {rms(pressure):.0f} bar"
          )  # fmt: skip
    stiffness: dict[bool, list[float]] = {False: [], True: []}
    rng = np.random.default_rng(SEED)
    for head, values in stiffness.items():
        calc, rng = calculator(options.model, head), np.random.default_rng(SEED)
        for frame in frames[::4][:20]:
            atoms, hydrogen = frame.copy(), 3 * rng.integers(len(frame) // 3) + 1
            apart = atoms.get_distance(hydrogen - 1, hydrogen, mic=True, vector=True)
            along, pulls = apart / np.linalg.norm(apart), []
            atoms.calc = calc
            for shift in (0.02, -0.02):
                atoms.positions[hydrogen] = frame.positions[hydrogen] + shift * along
                pulls.append(atoms.get_forces()[hydrogen] @ along)
            values.append((pulls[1] - pulls[0]) / 0.04)
    k = {head: np.array(values) for head, values in stiffness.items()}
    ratio = (k[True] - k[False]) / k[False]
    print(f"O-H stiffness: conservative {k[False].mean():.1f} eV/Å2, direct minus conservative "
          f"{100 * ratio.mean():+.1f} % on average, {100 * ratio.std():.1f} % scatter")  # fmt: skip
    if options.reference:
        reference_errors(frames, options.model)


def reference_errors(frames: list[Atoms], model: Path) -> None:
    """Errors against SO3LR on the model's own frames (needs so3krates-torch)."""
    import sample

    exact = sample.SO3LRCalculator(
        default_dtype="float64", compute_stress=True, **sample.SO3LR_OPTIONS
    )
    molecule = sample.isolated_molecule_energy()
    labelled = []
    for frame in frames[::9]:
        frame.info |= {"temperature_K": 300.0, "split": "own"}
        labelled.append(sample.label(frame, exact, "own"))
        labelled[-1].calc.results["energy"] -= molecule * len(frame) / 3
    torch.set_default_dtype(torch.float32)
    print_errors("own frames, labelled by SO3LR", labelled, model)


def speed(options: argparse.Namespace) -> None:
    """Fastest and median of repeated evaluations of ``init.xyz`` by each head, in ms."""
    for direct in (True, False):
        atoms, spent = ase.io.read(options.init), []
        atoms.calc = calculator(options.model, direct)
        rng = np.random.default_rng(SEED)
        for _ in range(60):
            atoms.positions += rng.normal(0, 1e-3, atoms.positions.shape)
            begin = time.perf_counter()
            atoms.get_forces()
            spent.append(1e3 * (time.perf_counter() - begin))
        print(f"{'direct' if direct else 'conservative'}: {len(atoms)} atoms, "
              f"{torch.get_num_threads()} threads: fastest {min(spent):.1f} ms, "
              f"median {np.median(spent):.1f} ms")  # fmt: skip


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["errors", "equilibrate", "nve", "hot", "gap", "speed"])
    parser.add_argument("--model", type=Path, default=HERE / "water.pt")
    parser.add_argument("--init", type=Path, default=HERE / "init.xyz")
    parser.add_argument("--start", type=Path, help="configuration to equilibrate")
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--ps", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--reference", action="store_true", help="gap: also compare with SO3LR")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    actions = {
        "errors": errors,
        "equilibrate": equilibrate,
        "nve": lambda o: run_dynamics(o, 300.0, thermostat=False, save="nve.xyz"),
        "hot": lambda o: run_dynamics(o, 600.0, thermostat=True, save="hot.xyz"),
        "gap": gap,
        "speed": speed,
    }
    actions[options.what](options)


if __name__ == "__main__":
    main()
