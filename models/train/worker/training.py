"""A training: the stages of a recipe on the frames of a folder, which also keeps its state."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ase.io
import torch
from ase import Atoms

from ...backends.pet import metatrain as network
from ..options import TrainOptions
from .batch import Batch, Frame
from .dynamics import generate_frames
from .loop import Loop
from .passage import LENGTH, Passage
from .predict import errors, predict
from .sharpen import sharpen
from .stage import Stage, stages_of

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["Training"]

TELL_EVERY_S = 0.5
MEASURE_SIZE = 16  # frames at once
MEASURE_SHARE = 0.05  # of the time, at most
OWN_ATOMS, FRESH_ATOMS = 15000, 1000  # in the passages for the alignment, and for the card's gap
SETTLE_FS = 200.0  # of dynamics before the latter
FEWEST = 20  # frames of them
DYNAMICS_SHARE = 0.25  # of the alignment's time, at most
FRESH = 5  # every so many of them are kept apart, to measure on
MEV = 1000.0
NAMES = {"forces": "conservative", "direct": "direct"}  # meV/Å


class Training:
    """All stages of a recipe on the frames of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
        self.options = TrainOptions.from_dict(self.plan["options"])
        self.scale: float = self.plan["scale"]
        self.stages = stages_of(self.options)
        self.parent = os.getppid()
        self.told = self.reported = -1e9
        self.report_every_s = self.options.save_every_s
        self.errors = ""
        if self.options.threads is not None:
            torch.set_num_threads(self.options.threads)
        torch.manual_seed(self.options.seed)
        self.model = self.first_model()
        atoms = {p: ase.io.read(folder / f"{p}.xyz", ":") for p in ("train", "validation")}
        self.starts: list[Atoms] = atoms["train"]
        self.frames = {part: self.to_frames(found) for part, found in atoms.items()}
        if self.options.start is None:
            some = self.frames["train"][:: max(1, len(self.starts) // 40)]
            sharpen(self.model, some, self.options.seed)
        network.rescale(self.model, 1 / self.scale)
        self.model.to(self.options.device)

    def first_model(self) -> PET:
        """The network to start from."""
        heads, baseline = self.plan["heads"], self.plan["baseline"]
        if self.options.start is not None:
            model = network.read(self.options.start)
            network.check_covers(model, heads, [int(z) for z in baseline])
            return model
        baseline = {int(z): e for z, e in baseline.items()}
        return network.new(list(baseline), heads, self.options.architecture, baseline)

    def to_frames(self, atoms: Sequence[Atoms]) -> list[Frame]:
        """Convert frames for this network."""
        baseline = network.baseline_of(self.model)
        return [Frame.of(a, self.model.cutoff, baseline, self.options.device) for a in atoms]

    def run(self) -> None:
        """Run the stages that are not done yet, and write the checkpoint."""
        for index, stage in enumerate(self.stages):
            done = self.folder / f"stage{index}.pt"
            if not done.exists():
                stats, end = self.run_stage(index, stage)
                save({"model": self.model.backend.state_dict(), "stats": stats, "end": end}, done)
                (self.folder / "state.pt").unlink(missing_ok=True)
            self.model.backend.load_state_dict(load(done)["model"])
        stats = [load(self.folder / f"stage{i}.pt")["stats"] for i in range(len(self.stages))]
        write_text(self.folder / "stages.json", json.dumps(stats))
        if len(self.plan["heads"]) > 1 and network.ENERGY in self.plan["heads"]:
            self.write_own("fresh", FRESH_ATOMS, self.options.seed + 1, settle_fs=SETTLE_FS)
        self.model.to("cpu")
        network.rescale(self.model, self.scale)
        network.write(self.model, self.folder / "model.ckpt")

    def run_stage(self, index: int, stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run one stage; return what it took and what the alignment did, and its last state."""
        begin, cpu = time.perf_counter(), time.process_time()
        own, fresh = self.own_frames(stage) if stage.align else ([], [])
        before = self.measure(stage, fresh) if stage.align else {}
        loop = self.loop(stage, index, own)
        sampled_s = time.perf_counter() - begin
        loop.elapsed_s, loop.cpu_s = sampled_s, time.process_time() - cpu
        state = self.folder / "state.pt"
        if state.exists():
            loop.resume(load(state))
        elif stage.align and index:
            loop.go_on(load(self.folder / f"stage{index - 1}.pt")["end"])
        end = loop.run(self.after_step)
        epochs = loop.seen / len(loop.frames)
        stats = {
            "name": stage.name,
            "epochs": epochs,
            "seconds": loop.elapsed_s,
            "seconds_per_epoch": (loop.elapsed_s - sampled_s) / epochs if epochs else 0.0,
            "cpu_seconds": loop.cpu_s,
            "batch_size": loop.batch_size,
        }
        if stage.align:
            after = self.measure(stage, fresh)
            stats |= {"before": before, "after": after}
        return stats, end

    def loop(self, stage: Stage, index: int, own: Sequence[Passage]) -> Loop:
        """The loop of one stage."""
        minutes, epochs = self.options.minutes, self.options.epochs
        return Loop(
            self.model,
            self.frames["train"],
            stage,
            scale=self.scale,
            batch_size=json.loads((self.folder / "batch_size.json").read_text()),
            seed=self.options.seed + 1000 * index,
            epochs=None if epochs is None else epochs * stage.share,
            minutes=None if minutes is None else minutes * stage.share,
            own=own,
        )

    def own_frames(self, stage: Stage) -> tuple[list[Passage], list[Frame]]:
        """Passages of the model's own dynamics to train on, and frames kept apart; made once."""
        minutes = self.options.minutes
        seconds = None if minutes is None else 60 * minutes * stage.share * DYNAMICS_SHARE
        frames = self.to_frames(
            self.write_own("own", OWN_ATOMS, self.options.seed, seconds, in_a_row=LENGTH)
        )
        passages = [tuple(frames[i : i + LENGTH]) for i in range(0, len(frames), LENGTH)]
        last = len(passages) - len(passages) // FRESH  # the end, not known to training
        return passages[:last], [passage[0] for passage in passages[last:]]

    def write_own(
        self,
        name: str,
        n_atoms: int,
        seed: int,
        seconds: float | None = None,
        settle_fs: float = 0.0,
        in_a_row: int = 1,
    ) -> list[Atoms]:
        """Make frames of the model's own dynamics with some ``n_atoms``, unless they are there."""
        path = self.folder / f"{name}.xyz"
        if not path.exists():
            wanted = n_atoms * len(self.starts) // sum(len(a) for a in self.starts)
            count = max(FEWEST, min(wanted, len(self.starts)))
            found = generate_frames(
                self.model, self.starts, count, scale=self.scale,
                temperature_K=self.options.temperature_K, seed=seed, seconds=seconds,
                settle_fs=settle_fs, in_a_row=in_a_row,
            )  # fmt: skip
            ase.io.write(path.with_suffix(".writing"), found, format="extxyz")
            path.with_suffix(".writing").replace(path)
        return ase.io.read(path, ":")

    def measure(self, stage: Stage, fresh: Sequence[Frame] = ()) -> dict[str, float]:
        """Root mean square errors on validation frames (meV, Å), the gap on ``fresh`` ones."""
        was_training = self.model.training
        self.model.eval()
        found = self.errors_on(self.frames["validation"], stage)
        if fresh:
            found["gap"] = self.errors_on(fresh, stage)["gap"]
        self.model.train(was_training)
        return found

    def errors_on(self, frames: Sequence[Frame], stage: Stage) -> dict[str, float]:
        """Root mean square errors on frames (meV, Å)."""
        sums: dict[str, list[float]] = {}
        for first in range(0, len(frames), MEASURE_SIZE):
            batch = Batch(frames[first : first + MEASURE_SIZE], None, self.scale)
            with torch.set_grad_enabled(stage.conservative):
                results = predict(self.model, batch, conservative=stage.conservative)
            for key, error in errors({k: v.detach() for k, v in results.items()}, batch).items():
                sums.setdefault(key, []).append(error.square().mean().item())
        return {k: MEV * self.scale * (sum(v) / len(v)) ** 0.5 for k, v in sorted(sums.items())}

    def after_step(self, loop: Loop) -> None:
        """Tell how far the training is, and now and then measure and save."""
        if os.getppid() != self.parent:
            raise SystemExit("halfkick: the training's parent has gone")
        now = time.monotonic()
        if now - self.told > TELL_EVERY_S:
            self.told = now
            self.tell(loop)
        if now - self.reported > self.report_every_s or loop.progress == 1:
            with loop.averaged():
                found = self.measure(loop.stage)
            line = {
                "stage": loop.stage.name, "step": loop.step,
                "epochs": loop.seen / len(loop.frames), "seconds": loop.elapsed_s,
                "cpu_seconds": loop.cpu_s, "errors": found,
            }  # fmt: skip
            with (self.folder / "history.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            save(loop.state(), self.folder / "state.pt")
            self.reported = time.monotonic()
            took = min(self.reported - now, self.options.save_every_s)  # it may have been stopped
            self.report_every_s = max(self.options.save_every_s, took / MEASURE_SHARE)
            self.errors = ", ".join(f"{NAMES[k]} {v:.0f}" for k, v in found.items() if k in NAMES)

    def tell(self, loop: Loop) -> None:
        """Write the progress of the whole training for the process that shows it."""
        before = sum(s.share for s in self.stages[: self.stages.index(loop.stage)])
        told = {
            "stage": loop.stage.name,
            "done": before + loop.stage.share * loop.progress,
            "errors": self.errors,
        }
        write_text(self.folder / "progress.json", json.dumps(told))


def load(path: Path) -> dict[str, Any]:
    """Read what ``save`` wrote."""
    return torch.load(path, weights_only=False)


def save(state: dict[str, Any], path: Path) -> None:
    """Write a state so that a kill leaves the one before."""
    torch.save(state, path.with_suffix(".writing"))
    path.with_suffix(".writing").replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text so that a kill leaves the one before."""
    path.with_suffix(".writing").write_text(text)
    path.with_suffix(".writing").replace(path)
