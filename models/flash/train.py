"""Trains a network on trajectories, measures it, writes it and its card."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from ..errors import ModelError
from ..files import draft_of, write_atomically
from ..train.options import SIZES
from ..versions import installed_versions
from .pairs import Pair, Trajectory, make_pairs, masses_by_species, split

if TYPE_CHECKING:
    from rich.console import Console

    from .learn import FlashLoop

__all__ = ["FlashOptions", "train"]

BATCH_ATOMS = 200  # in a step
FINAL_RATE = 0.02  # of the highest learning rate
REPORT_INTERVAL_S = 0.5
PACKAGES = ("halfkick", "metatrain", "metatomic-torch", "torch", "ase", "numpy")
CHANGEABLE = ("device", "threads", "save_every_s")  # amid a training


@dataclass(frozen=True)
class FlashOptions:
    """How to train.

    Attributes:
        stride_fs: how far ahead the network predicts.
        every_fs: from one pair of a trajectory to the next; ``None`` for the time in which
            momenta lose half of their autocorrelation.
        size: one of :data:`halfkick.models.train.options.SIZES`.
        cutoff: Å, of one message-passing layer.
        minutes: wall time; 60 if neither this nor ``epochs`` is given.
        epochs: passes over the pairs.
        batch_size: pairs in a step; by default as many as have about 200 atoms.
        learning_rate: the highest one; it falls to a fiftieth.
        seed: of weights, order and rotations.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; by default torch's own choice.
        save_every_s: wall time between states that a killed training goes on from.
    """

    stride_fs: float
    every_fs: float | None = None
    size: str = "s"
    cutoff: float = 4.5
    minutes: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float = 1e-2
    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    save_every_s: float = 60.0

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ModelError(f"expected size {', '.join(SIZES)}, got '{self.size}'; change --size")
        for name, value in asdict(self).items():
            if name not in ("seed", "size", "device") and value is not None and not value > 0:
                option = name.removesuffix("_fs").replace("_", "-")
                raise ModelError(f"expected a positive number, got {value}; change --{option}")


def train(
    trajectories: Sequence[Trajectory],
    out: Path,
    options: FlashOptions,
    *,
    command: str = "",
    overwrite: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a network; the same call goes on where a killed one was.

    Args:
        trajectories: at constant energy; the last tenth is measured on, at least one, or the end of
            a single one.
        out: the network to write, ``.pt``; beside it ``.card.json``, and ``.train`` meanwhile.
        options: how.
        command: for the card.
        overwrite: whether ``out`` may exist.
        console: where to show progress; nowhere by default.

    Returns:
        The card.

    Raises:
        DataError: if the trajectories cannot be trained on.
        ModelError: if the options cannot be right.
    """
    folder = out.with_suffix(".train")
    if out.suffix != ".pt":
        raise ModelError(f"expected a network named FILE.pt, got '{out}'; change --out")
    if out.exists() and not overwrite and not folder.exists():
        raise ModelError(f"expected no '{out}', got one; move it away, or pass --overwrite")
    from ..backends.pet.metatrain import check_installed
    from ..load import check_device

    check_installed()
    check_device(options.device)
    groups = [make_pairs(t, options.stride_fs, options.every_fs) for t in trajectories]
    pairs, held_out = split(groups)
    plan = {"options": asdict(options), "pairs": len(pairs), "data": checksum(pairs)}
    loop = learn(pairs, masses_by_species(trajectories), options, plan, folder, console)

    from .learn import write

    with draft_of(out) as draft:
        network: Any = loop.model.backend
        write(network, draft)
        card = {
            "model": out.name,
            "command": command,
            "stride_fs": options.stride_fs,
            "options": asdict(options),
            "runs": [t.name for t in trajectories],
            "pairs": {"train": len(pairs), "test": len(held_out)},
            "errors": errors(draft, held_out),
            "steps": loop.step,
            "seconds": round(loop.elapsed_s, 1),
            "versions": {"Python": platform.python_version()} | installed_versions(PACKAGES),
        }
        write_atomically(out.with_suffix(".card.json"), json.dumps(card, indent=1) + "\n")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return card


def learn(
    pairs: Sequence[Pair],
    masses: Mapping[int, float],
    options: FlashOptions,
    plan: Mapping[str, Any],
    folder: Path,
    console: Console | None,
) -> FlashLoop:
    """Train to the end, from the state in the folder if there is one; return what was trained."""
    import torch

    from ..train.process import progress_bar
    from ..train.worker.stage import Stage
    from .learn import FlashLoop, Sample, new, sizes_of

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    sizes = sizes_of(pairs)
    network = new(masses, options.stride_fs, options.size, options.cutoff, sizes)
    network.to(options.device)
    minutes = 60.0 if options.minutes is None and options.epochs is None else options.minutes
    atoms = sum(len(pair.momenta) for pair in pairs) / len(pairs)
    loop = FlashLoop(
        network,
        [Sample.of(pair, network, sizes, options.device) for pair in pairs],
        stage=Stage("flash", False, (1.0, FINAL_RATE), 1.0, options.learning_rate),
        batch_size=options.batch_size or max(1, round(BATCH_ATOMS / atoms)),
        seed=options.seed,
        epochs=options.epochs,
        minutes=minutes,
    )
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state.pt"
    if state.exists():
        saved = torch.load(state, weights_only=False)
        check_same(saved.pop("plan"), plan, folder)
        loop.resume(saved)
    last = {"saved": time.monotonic(), "shown": 0.0, "loss": float("nan")}
    with progress_bar(console) as progress:
        task = progress.task_ids[0]

        def after_step(_: object) -> None:
            now = time.monotonic()
            if now - last["shown"] > REPORT_INTERVAL_S:
                last["shown"] = now
                progress.update(task, description="training", completed=loop.progress,
                                errors=f"step {loop.step}")  # fmt: skip
            if now - last["saved"] > options.save_every_s and loop.progress < 1:
                with draft_of(state) as draft:
                    torch.save(loop.state() | {"plan": plan}, draft)
                last["saved"] = now

        loop.run(after_step)
    return loop


def check_same(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    """Raise ModelError if the state in a folder is of another training."""
    differ = [k for k, v in new["options"].items()
              if k not in CHANGEABLE and old["options"][k] != v]  # fmt: skip
    differ += [key for key in ("pairs", "data") if old[key] != new[key]]
    if differ:
        raise ModelError(
            f"expected folder '{folder}' to be of the same training, got one with other "
            f"{', '.join(differ)}; remove it, or choose another --out"
        )


def checksum(pairs: Sequence[Pair]) -> int:
    """A number that is another one for other pairs."""
    value = 0
    for pair in pairs:
        for array in (pair.structure.positions, pair.momenta, pair.moved):
            value = crc32(np.ascontiguousarray(array).tobytes(), value)
    return value


def errors(network: Path, pairs: Sequence[Pair]) -> dict[str, dict[str, dict[str, float]]]:
    """Errors of an exported network on pairs, and the sizes of what it predicts.

    Root mean squares of components by species and output, Å and (eV amu)^½.
    """
    from ..statistics import by_species, rms
    from .network import FlashNetwork

    model = FlashNetwork(network, skin=0.0)
    found: dict[str, list[np.ndarray[Any, Any]]] = {"position": [], "momentum": []}
    for pair in pairs:
        moved, momenta = model.step(pair.structure, pair.momenta)
        found["position"].append(np.stack([moved - pair.moved, pair.moved], axis=1))
        wrong = momenta - pair.momenta - pair.gained
        found["momentum"].append(np.stack([wrong, pair.gained], axis=1))
    numbers = np.concatenate([pair.structure.numbers for pair in pairs])
    by_output = {k: by_species(np.concatenate(v), numbers) for k, v in found.items()}
    return {
        species: {
            output: {"rmse": rms(values[species][:, 0]), "size": rms(values[species][:, 1])}
            for output, values in by_output.items()
        }
        for species in by_output["position"]
        if species != "all"
    }
