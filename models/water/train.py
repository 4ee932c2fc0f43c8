"""Train both heads of a PET on labelled water: everything of one stage in one place.

The starting checkpoint comes from ``mtt train init.yaml`` (architecture, targets, baseline); the
result is a metatrain checkpoint again, for a further stage or for ``mtt export``. ::

    python train.py conservative init.ckpt water.ckpt --sharpen --minutes 45
    mtt export water.ckpt -o water.pt

``conservative`` fits energies, their derivatives and both direct outputs, and draws the direct
forces to the conservative ones; ``direct`` leaves the derivatives out; ``stress`` trains the head
of the direct stress alone and changes no other output. Matrices are updated by
Muon, all else by Adam; an exponential average of the weights is saved. The learning rate falls to
zero over ``--minutes``. Units: eV, Å.
"""

import argparse
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
import torch
import vesin
from ase import Atoms
from metatrain.pet import PET
from metatrain.pet.modules.utilities import cutoff_func_bump

SEED = 20
FORCE_DELTA = 0.3  # eV/Å: errors beyond it count linearly
WEIGHTS = {
    "gap": 1.5,
    "energy": 0.02,
    "direct": 1.0,
    "direct_virial": 0.2,
    "forces": 1.0,
    "virial": 0.2,
}
GROWTH = {"energy": 100.0, "direct_virial": 20.0, "virial": 20.0}  # of weights over a stage
DIRECT = ["energy", "non_conservative_force", "non_conservative_stress"]


@dataclass
class Frame:
    """One labelled configuration of n atoms and p neighbour pairs, as tensors."""

    positions: torch.Tensor  # (n, 3) Å
    cell: torch.Tensor  # (3, 3) rows, Å
    species: torch.Tensor  # (n,)
    centers: torch.Tensor  # (p,)
    neighbors: torch.Tensor  # (p,)
    shifts: torch.Tensor  # (p, 3)
    energy: float  # eV, baseline removed
    forces: torch.Tensor  # (n, 3) eV/Å
    stress: torch.Tensor  # (3, 3) eV/Å3


def to_frame(atoms: Atoms, cutoff: float, baseline: float) -> Frame:
    """Convert a labelled frame; ``baseline`` is eV per molecule."""
    i, j, shifts = vesin.ase_neighbor_list("ijS", atoms, cutoff)
    return Frame(
        torch.tensor(atoms.positions, dtype=torch.float32),
        torch.tensor(atoms.cell.array, dtype=torch.float32),
        torch.tensor(atoms.numbers),
        torch.tensor(np.asarray(i, dtype=np.int64)),
        torch.tensor(np.asarray(j, dtype=np.int64)),
        torch.tensor(np.asarray(shifts, dtype=np.int64)),
        atoms.get_potential_energy() - baseline * len(atoms) / 3,
        torch.tensor(atoms.get_forces(), dtype=torch.float32),
        torch.tensor(atoms.get_stress(voigt=False), dtype=torch.float32),
    )


@dataclass
class Batch:
    """Frames joined into one, each turned by its own random rotation or rotoreflection."""

    frames: list[Frame]
    rotate: bool = True

    def __post_init__(self) -> None:
        n = [len(f.positions) for f in self.frames]
        self.system = torch.repeat_interleave(torch.arange(len(n)), torch.tensor(n))
        self.n_atoms = torch.tensor(n, dtype=torch.float32)
        first = np.concatenate([[0], np.cumsum(n)[:-1]])
        turns = [self._turn() for _ in n]
        pairs = list(zip(self.frames, turns, strict=True))
        self.positions = torch.cat([f.positions @ r for f, r in pairs])
        self.cells = torch.stack([f.cell @ r for f, r in pairs])
        self.forces = torch.cat([f.forces @ r for f, r in pairs])
        volumes = torch.linalg.det(torch.stack([f.cell for f in self.frames])).abs()
        self.volumes = volumes
        stress = torch.stack([r.T @ f.stress @ r for f, r in pairs])
        self.virial = stress * (volumes / self.n_atoms)[:, None, None]  # per atom, sign of stress
        self.energy = torch.tensor([f.energy for f in self.frames], dtype=torch.float32)
        self.species = torch.cat([f.species for f in self.frames])
        joined = list(zip(self.frames, first, strict=True))
        self.centers = torch.cat([f.centers + int(k) for f, k in joined])
        self.neighbors = torch.cat([f.neighbors + int(k) for f, k in joined])
        self.shifts = torch.cat([f.shifts for f in self.frames])

    def _turn(self) -> torch.Tensor:
        if not self.rotate:
            return torch.eye(3)
        return torch.linalg.qr(torch.randn(3, 3))[0] * (1 if torch.rand(()) < 0.5 else -1)


def predict(model: PET, batch: Batch, conservative: bool) -> dict[str, torch.Tensor]:
    """Energies (s,), forces (n, 3) and per-atom virials (s, 3, 3; sign of stress) of both heads."""
    n_systems = len(batch.frames)
    positions, cells = batch.positions, batch.cells
    strain = torch.eye(3).repeat(n_systems, 1, 1)
    if conservative:
        positions.requires_grad_(True)
        strain.requires_grad_(True)
        moved = (positions[:, None] @ strain[batch.system])[:, 0]
        cells = cells @ strain
    else:
        moved = positions
    data = model.backend.preprocess(
        moved, batch.centers, batch.neighbors, batch.species, cells, batch.shifts, batch.system,
        model.cutoff_width_adaptive,
    )  # fmt: skip
    nodes, edges = model.backend.calculate_features(data)
    out, _, _ = model.backend.predict(nodes, edges, data, cells.detach(), batch.system, DIRECT)

    def total(atomic: torch.Tensor) -> torch.Tensor:
        shape = (n_systems, *atomic.shape[1:])
        return torch.zeros(shape).index_add(0, batch.system, atomic)

    energy = total(out["energy"][0].reshape(-1))
    per_atom = (batch.volumes / batch.n_atoms)[:, None, None]
    results = {
        "energy": energy,
        "direct": out["non_conservative_force"][0].reshape(-1, 3),
        "direct_virial": total(out["non_conservative_stress"][0].reshape(-1, 3, 3)) * per_atom,
    }
    if conservative:
        gradient, strain_gradient = torch.autograd.grad(
            energy.sum(), [positions, strain], create_graph=torch.is_grad_enabled()
        )
        results["forces"] = -gradient
        results["virial"] = strain_gradient / batch.n_atoms[:, None, None]
    return results


def atomic_virials(model: PET, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Direct and conservative virials atom by atom, (n, 3, 3) each, in eV; sign of stress.

    The conservative ones are the sums over neighbours of r outer dE/dr. Their total is the virial
    of the cell; as labels they say much more than that one tensor per configuration does. Only the
    head of the direct stress stays attached to the graph.
    """
    data = model.backend.preprocess(
        batch.positions, batch.centers, batch.neighbors, batch.species, batch.cells, batch.shifts,
        batch.system, model.cutoff_width_adaptive,
    )  # fmt: skip
    real = data["padding_mask"]
    vectors = data["edge_vectors"].detach().requires_grad_(True)
    distances = (vectors.square().sum(-1) + (~real)).sqrt() * real
    cutoff = torch.full_like(distances, model.cutoff)
    data["edge_vectors"], data["edge_distances"] = vectors, distances
    data["cutoff_factors"] = cutoff_func_bump(distances, cutoff, model.cutoff_width) * real
    nodes, edges = model.backend.calculate_features(data)
    out, _, _ = model.backend.predict(nodes, edges, data, batch.cells, batch.system, DIRECT[:1])
    gradient = torch.autograd.grad(out["energy"][0].sum(), vectors)[0]
    conservative = torch.einsum("nmi,nmj->nij", vectors.detach(), gradient)
    conservative = 0.5 * (conservative + conservative.transpose(1, 2))
    nodes, edges = [n.detach() for n in nodes], [e.detach() for e in edges]
    data["cutoff_factors"] = data["cutoff_factors"].detach()
    out, _, _ = model.backend.predict(nodes, edges, data, batch.cells, batch.system, DIRECT[2:])
    direct = out["non_conservative_stress"][0].reshape(-1, 3, 3)
    return direct * batch.volumes[batch.system][:, None, None], conservative


def stress_loss(model: PET, batch: Batch) -> torch.Tensor:
    """Square differences of direct virials: of atoms to conservative ones, of cells to labels."""
    direct, conservative = atomic_virials(model, batch)
    cells = torch.zeros(len(batch.frames), 3, 3).index_add(0, batch.system, direct)
    cells = cells / batch.n_atoms[:, None, None] - batch.virial
    return (direct - conservative).square().mean() + 10.0 * cells.square().mean()


def errors(results: dict[str, torch.Tensor], batch: Batch) -> dict[str, torch.Tensor]:
    """Differences to the labels: energy per atom, forces and virials per atom."""
    wanted = {"direct": batch.forces, "forces": batch.forces}
    wanted |= {"direct_virial": batch.virial, "virial": batch.virial}
    found = {k: results[k] - wanted[k] for k in results if k != "energy"}
    if "forces" in results:
        found["gap"] = results["direct"] - results["forces"].detach()
    return found | {"energy": (results["energy"] - batch.energy) / batch.n_atoms}


def loss_of(found: dict[str, torch.Tensor], progress: float) -> torch.Tensor:
    """Weighted sum: squares for energies and virials, Huber for force components.

    Energies and virials are sums over atoms whose gradients would drown those of the forces early
    on, so their weights grow with ``progress`` (0 to 1) of the stage.
    """
    total = torch.zeros(())
    for key, error in found.items():
        if key in ("direct", "forces", "gap"):
            size = error.abs()
            huber = torch.where(
                size < FORCE_DELTA, error.square(), FORCE_DELTA * (2 * size - FORCE_DELTA)
            )
            total = total + WEIGHTS[key] * huber.mean()
        else:
            total = total + WEIGHTS[key] * GROWTH[key] ** progress * error.square().mean()
    return total


def batches(frames: list[Frame], atoms_per_batch: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Endless batches of about ``atoms_per_batch`` atoms, in a new order every epoch."""
    while True:
        chosen: list[Frame] = []
        for index in rng.permutation(len(frames)):
            chosen.append(frames[index])
            if sum(len(f.positions) for f in chosen) >= atoms_per_batch:
                yield Batch(chosen)
                chosen = []


def optimizers(model: PET, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner matrices, Adam for embeddings, norms, biases and last layers."""
    matrices, others = [], []
    for name, parameter in model.backend.named_parameters():
        if not parameter.requires_grad:
            continue
        inner = parameter.ndim == 2 and "embedder" not in name and "last_layers" not in name
        (matrices if inner else others).append(parameter)
    muon = torch.optim.Muon(
        matrices, lr=learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.Adam(others, lr=learning_rate, betas=(0.9, 0.98))]


@torch.no_grad()
def sharpen(model: PET, frames: list[Frame]) -> None:
    """Let the first layer tell bond lengths apart: kinks at distances that occur, of 0.1 to 2 Å.

    By default its response to a distance is almost linear over several Å, and training stays on a
    plateau for thousands of steps until that changes. Half the kinks sit at bonds within molecules.
    """
    vectors = []
    for frame in frames:
        apart = frame.positions[frame.neighbors] - frame.positions[frame.centers]
        vectors.append(apart + frame.shifts.float() @ frame.cell)
    vectors = torch.cat(vectors)
    edges = torch.cat([vectors, vectors.norm(dim=1, keepdim=True)], dim=1)  # (p, 4) Å
    bonds = edges[edges[:, 3] < 1.3]
    for layer in model.backend.gnn_layers:
        embed, hidden, out = layer.edge_embedder, layer.compress[0], layer.compress[2]
        d = embed.out_features
        slope = torch.exp(torch.empty(d).uniform_(np.log(0.5), np.log(10.0)))  # 1/Å
        response = hidden.weight[:, :d] @ embed.weight  # (d, 4) 1/Å
        response[:, :3] *= (torch.rand(d, 1) < 0.6).float()
        factor = slope / response.norm(dim=1)
        # rows of the embedding that carry x, y, z, r unchanged, so that any response is reachable
        embed.weight.zero_()
        embed.bias.zero_()
        embed.weight[torch.arange(d), torch.arange(d) % 4] = 2.0
        spread = torch.zeros(d, d)
        for column in range(d):
            spread[:, column] = response[:, column % 4] * factor / (2.0 * (d // 4))
        hidden.weight[:, :d] = spread
        at = torch.where(
            (torch.rand(d, 1) < 0.5),
            bonds[torch.randint(len(bonds), (d,))],
            edges[torch.randint(len(edges), (d,))],
        )
        hidden.bias.copy_(-(response * factor[:, None] * at).sum(1))
        out.weight.mul_(3.0 / slope.sqrt())


def report(model: PET, frames: list[Frame], conservative: bool) -> str:
    """Root mean square errors on ``frames``, in meV and Å, as one line."""
    sums: dict[str, list[torch.Tensor]] = {}
    for frame in frames:
        batch = Batch([frame], rotate=False)
        with torch.set_grad_enabled(conservative):
            results = {k: v.detach() for k, v in predict(model, batch, conservative).items()}
        found = errors(results, batch)
        for key, error in found.items():
            sums.setdefault(key, []).append(error.square().mean())
    return ", ".join(f"{k} {1e3 * torch.stack(v).mean().sqrt():.2f}" for k, v in sums.items())


def baseline_of(model: PET, atoms: Atoms) -> float:
    """The composition baseline of the checkpoint in eV per molecule."""
    weights = model.additive_models[0].model.weights["energy"].block().values.flatten()
    types = [int(t) for t in model.additive_models[0].atomic_types]
    by_type = dict(zip(types, weights.tolist(), strict=True))
    return sum(by_type[int(z)] for z in atoms.numbers[:3])


def save(checkpoint: dict, average: dict[str, torch.Tensor], path: Path) -> None:
    """Write ``checkpoint`` with the averaged weights as last and as best model."""
    for key in ("model_state_dict", "best_model_state_dict"):
        state = dict(checkpoint[key])
        state.update({f"backend.{name}": value.clone() for name, value in average.items()})
        checkpoint[key] = state
    torch.save(checkpoint, path)


def train(options: argparse.Namespace) -> None:
    """Run one stage; progress goes to the log, the result to ``options.result``."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    conservative = options.stage == "conservative"
    checkpoint = torch.load(options.start, weights_only=False)
    model = PET.load_checkpoint(torch.load(options.start, weights_only=False), context="export")
    model.backend.to(torch.float32).train()
    data = {k: ase.io.read(options.data / f"{k}.xyz", ":") for k in ("train", "validation")}
    baseline = baseline_of(model, data["train"][0])
    frames = {k: [to_frame(a, model.cutoff, baseline) for a in v] for k, v in data.items()}
    if options.stage == "stress":
        for name, parameter in model.backend.named_parameters():
            parameter.requires_grad_("non_conservative_stress" in name)
    if options.sharpen:
        sharpen(model, frames["train"][:40])
    learned = options.learning_rate or (5e-4 if conservative else 2e-3)
    steppers = optimizers(model, learned)
    average = {k: v.detach().clone() for k, v in model.backend.named_parameters()}
    source = batches(frames["train"], options.atoms_per_batch, rng)
    begin, reported, recent, step = time.time(), time.time(), [], 0
    while (passed := (time.time() - begin) / (60 * options.minutes)) < 1:
        progress = options.begin + (1 - options.begin) * passed
        scale = min(1.0, (step + 1) / 100, 1.02 - progress)
        batch = next(source)
        if options.stage == "stress":
            loss = stress_loss(model, batch)
        else:
            loss = loss_of(errors(predict(model, batch, conservative), batch), progress)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.backend.parameters(), options.clip)
        for stepper in steppers:
            for group in stepper.param_groups:
                group["lr"] = learned * scale
            stepper.step()
        step += 1
        recent.append(loss.item())
        keep = min(0.995, step / (step + 10))
        for name, value in model.backend.named_parameters():
            average[name].lerp_(value.detach(), 1 - keep)
        if time.time() - reported > 60 * options.report_minutes or step in (20, 100):
            reported = time.time()
            line = report(model, frames["validation"][:: options.every], conservative)
            logging.info(
                "step %d (%.0f %%) loss %.4f: %s", step, 100 * progress, np.mean(recent), line
            )
            recent = []
            save(checkpoint, average, options.result)
    model.backend.load_state_dict(average, strict=False)
    line = report(model, frames["validation"], conservative)
    logging.info("%d steps, averaged weights, validation: %s", step, line)
    save(checkpoint, average, options.result)


def weight(text: str) -> tuple[str, float]:
    """Read ``name=value`` of a weight."""
    name, _, value = text.partition("=")
    if name not in WEIGHTS:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(WEIGHTS)}, got {name!r}")
    return name, float(value)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=["direct", "conservative", "stress"])
    parser.add_argument("start", type=Path, help="metatrain checkpoint to start from")
    parser.add_argument("result", type=Path, help="metatrain checkpoint to write")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument(
        "--begin", type=float, default=0.0, help="fraction of the stage done before"
    )
    parser.add_argument("--learning-rate", type=float, default=None)
    parser.add_argument("--weight", type=weight, action="append", default=[], help="NAME=VALUE")
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--atoms-per-batch", type=int, default=96)
    parser.add_argument("--report-minutes", type=float, default=1.5)
    parser.add_argument("--sharpen", action="store_true", help="new first layer (see sharpen)")
    parser.add_argument("--every", type=int, default=4, help="report on every n-th held-out frame")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = parser.parse_args()
    WEIGHTS.update(options.weight)
    train(options)


if __name__ == "__main__":
    main()
