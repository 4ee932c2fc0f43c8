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

from ...backends.pet import metatrain
from ...files import draft_of, write_atomically
from ...frames import read_frames
from ..options import TrainOptions
from ..process import GAP_FILE
from .batch import Batch, Frame
from .dynamics import generate_frames
from .first_layer import initialize_first_layer
from .loop import TrainingLoop
from .predict import VIRIALS, errors, predict
from .segment import SEGMENT_LENGTH, Segment
from .stage import Stage, stages_of

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["Training"]

PROGRESS_INTERVAL_S = 0.5
VALIDATION_BATCH = 16  # frames
VALIDATION_SHARE = 0.05  # of the time, at most
ALIGNMENT_ATOMS = 15000  # in the self-generated segments
GAP_ATOMS = 1000  # in the self-generated frames for the card's gap
SETTLE_FS = 200.0  # of dynamics before the latter
MIN_GENERATED = 20  # segments or frames
DYNAMICS_SHARE = 0.25  # of the alignment's time, at most
HELD_OUT_STEP = 5  # one in so many segments is not trained on, but measured on
MEV = 1000.0
FORCE_NAMES = {"forces": "conservative", "direct": "direct"}
ALIGNMENT_FILE = "own.xyz"  # of self-generated segments


class Training:
    """All stages of a recipe on the frames of a folder.

    Args:
        folder: with ``plan.json``, ``batch_size.json``, ``train.xyz`` and ``validation.xyz``; state
            and results are written to it.

    Attributes:
        model: the network, its outputs in units of ``scale``.
        scale: root mean square of the training forces, eV/Å.
        starts: structures that dynamics start from.
        frames: of the parts ``train`` and ``validation``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
        self.options = TrainOptions.from_dict(self.plan["options"])
        self.scale: float = self.plan["scale"]
        self.stages = stages_of(self.options)
        self.parent = os.getppid()
        self.last_progress_s = self.last_report_s = -1e9
        self.report_interval_s = self.options.save_every_s
        self.errors = ""
        if self.options.threads is not None:
            torch.set_num_threads(self.options.threads)
        torch.manual_seed(self.options.seed)
        self.model = self.initial_model()
        atoms = {part: read_frames(folder / f"{part}.xyz", ":") for part in ("train", "validation")}
        self.starts = atoms["train"]
        self.frames = {part: self.to_frames(members) for part, members in atoms.items()}
        if self.options.start is None:
            some = self.frames["train"][:: max(1, len(self.starts) // 40)]
            initialize_first_layer(self.model, some, self.options.seed)
        metatrain.rescale(self.model, 1 / self.scale)
        self.model.to(self.options.device)

    def initial_model(self) -> PET:
        """The network to start from."""
        heads = self.plan["heads"]
        baseline = {int(z): float(energy) for z, energy in self.plan["baseline"].items()}
        if self.options.start is not None:
            model = metatrain.read(self.options.start)
            metatrain.check_covers(model, heads, list(baseline))
            return model
        return metatrain.new(list(baseline), heads, self.options.architecture, baseline)

    def to_frames(self, atoms: Sequence[Atoms]) -> list[Frame]:
        """Convert frames for this network."""
        baseline = metatrain.baseline_of(self.model)
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
        all_stats = [load(self.folder / f"stage{i}.pt")["stats"] for i in range(len(self.stages))]
        write_atomically(self.folder / "stages.json", json.dumps(all_stats))
        if len(self.plan["heads"]) > 1 and metatrain.ENERGY in self.plan["heads"]:
            self.generate(GAP_FILE, GAP_ATOMS, self.options.seed + 1, settle_fs=SETTLE_FS)
        self.model.to("cpu")
        metatrain.rescale(self.model, self.scale)
        metatrain.write(self.model, self.folder / "model.ckpt")

    def run_stage(self, index: int, stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run one stage; return what it took and what the alignment did, and its last state."""
        begin, cpu = time.perf_counter(), time.process_time()
        segments, held_out = self.generate_segments(stage) if stage.align else ([], [])
        before = self.measure(stage, held_out) if stage.align else {}
        loop = self.loop(stage, index, segments)
        sampled_s = time.perf_counter() - begin
        loop.elapsed_s, loop.cpu_s = sampled_s, time.process_time() - cpu
        state = self.folder / "state.pt"
        if state.exists():
            loop.resume(load(state))
        elif stage.align and index:
            loop.continue_from(load(self.folder / f"stage{index - 1}.pt")["end"])
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
            after = self.measure(stage, held_out)
            stats |= {"before": before, "after": after}
        return stats, end

    def loop(self, stage: Stage, index: int, self_generated: Sequence[Segment]) -> TrainingLoop:
        """The loop of one stage."""
        minutes, epochs = self.options.minutes, self.options.epochs
        return TrainingLoop(
            self.model,
            self.frames["train"],
            stage,
            scale=self.scale,
            batch_size=json.loads((self.folder / "batch_size.json").read_text()),
            seed=self.options.seed + 1000 * index,
            epochs=None if epochs is None else epochs * stage.share,
            minutes=None if minutes is None else minutes * stage.share,
            self_generated=self_generated,
        )

    def generate_segments(self, stage: Stage) -> tuple[list[Segment], list[Frame]]:
        """Segments of the model's own dynamics to train on, and frames to measure on; made once."""
        minutes = self.options.minutes
        seconds = None if minutes is None else 60 * minutes * stage.share * DYNAMICS_SHARE
        atoms = self.generate(
            ALIGNMENT_FILE, ALIGNMENT_ATOMS, self.options.seed, seconds, in_a_row=SEGMENT_LENGTH
        )
        frames = self.to_frames(atoms)
        segments = [
            tuple(frames[i : i + SEGMENT_LENGTH]) for i in range(0, len(frames), SEGMENT_LENGTH)
        ]
        last = len(segments) - len(segments) // HELD_OUT_STEP  # the end, not known to training
        return segments[:last], [segment[0] for segment in segments[last:]]

    def generate(
        self,
        name: str,
        n_atoms: int,
        seed: int,
        seconds: float | None = None,
        settle_fs: float = 0.0,
        in_a_row: int = 1,
    ) -> list[Atoms]:
        """Make frames of the model's own dynamics with some ``n_atoms``, unless they are there."""
        path = self.folder / name
        if not path.exists():
            wanted = n_atoms * len(self.starts) // sum(len(a) for a in self.starts)
            count = max(MIN_GENERATED, min(wanted, len(self.starts)))
            frames = generate_frames(
                self.model, self.starts, count, scale=self.scale,
                temperature_K=self.options.temperature_K, seed=seed, seconds=seconds,
                settle_fs=settle_fs, in_a_row=in_a_row,
            )  # fmt: skip
            with draft_of(path) as draft:
                ase.io.write(draft, frames, format="extxyz")
        return read_frames(path, ":")

    def measure(self, stage: Stage, self_generated: Sequence[Frame] = ()) -> dict[str, float]:
        """Root mean square errors on validation frames (meV, Å), the gap on self-generated ones."""
        was_training = self.model.training
        self.model.eval()
        rmse = self.errors_on(self.frames["validation"], stage)
        if self_generated:
            rmse["gap"] = self.errors_on(self_generated, stage)["gap"]
        self.model.train(was_training)
        return rmse

    def errors_on(self, frames: Sequence[Frame], stage: Stage) -> dict[str, float]:
        """Root mean square errors on frames (meV, Å)."""
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}
        for first in range(0, len(frames), VALIDATION_BATCH):
            batch = Batch(frames[first : first + VALIDATION_BATCH], None, self.scale)
            with torch.set_grad_enabled(stage.conservative):
                results = predict(self.model, batch, conservative=stage.conservative)
            for key, error in errors({k: v.detach() for k, v in results.items()}, batch).items():
                known = batch.has_virial.mean().item() if key in VIRIALS else 1.0
                sums[key] = sums.get(key, 0.0) + error.square().sum().item()
                counts[key] = counts.get(key, 0.0) + known * error.numel()
        return {k: MEV * self.scale * (sums[k] / n) ** 0.5 for k, n in sorted(counts.items()) if n}

    def after_step(self, loop: TrainingLoop) -> None:
        """Report how far the training is, and now and then measure and save."""
        if os.getppid() != self.parent:
            raise SystemExit("halfkick: the training's parent has gone")
        now = time.monotonic()
        if now - self.last_progress_s > PROGRESS_INTERVAL_S:
            self.last_progress_s = now
            self.write_progress(loop)
        if now - self.last_report_s > self.report_interval_s or loop.progress == 1:
            with loop.averaged():
                rmse = self.measure(loop.stage)
            line = {
                "stage": loop.stage.name, "step": loop.step,
                "epochs": loop.seen / len(loop.frames), "seconds": loop.elapsed_s,
                "cpu_seconds": loop.cpu_s, "errors": rmse,
            }  # fmt: skip
            with (self.folder / "history.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            save(loop.state(), self.folder / "state.pt")
            self.last_report_s = time.monotonic()
            # it may have been stopped
            took = min(self.last_report_s - now, self.options.save_every_s)
            self.report_interval_s = max(self.options.save_every_s, took / VALIDATION_SHARE)
            shown = [(FORCE_NAMES[key], rmse[key]) for key in rmse if key in FORCE_NAMES]
            self.errors = ", ".join(f"{name} {error:.0f}" for name, error in shown)

    def write_progress(self, loop: TrainingLoop) -> None:
        """Write the progress of the whole training for the process that shows it."""
        before = sum(s.share for s in self.stages[: self.stages.index(loop.stage)])
        progress = {
            "stage": loop.stage.name,
            "done": before + loop.stage.share * loop.progress,
            "errors": self.errors,
        }
        write_atomically(self.folder / "progress.json", json.dumps(progress))


def load(path: Path) -> dict[str, Any]:
    """Read what ``save`` wrote."""
    state: dict[str, Any] = torch.load(path, weights_only=False)
    return state


def save(state: dict[str, Any], path: Path) -> None:
    """Write a state so that a kill leaves the one before."""
    with draft_of(path) as draft:
        torch.save(state, draft)
