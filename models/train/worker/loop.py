"""The loop of one stage: batches, steps, averages; it can be stopped and resumed anywhere."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from ...backends.batch_size import is_out_of_memory
from .batch import Batch, Frame, random_rotations
from .muon import Muon
from .predict import errors, predict
from .segment import SEGMENT_LENGTH, Segment, fast_part, flatten_by_time
from .stage import Stage, loss_of

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["TrainingLoop"]

Item = TypeVar("Item")

MAX_GRADIENT_NORM = 1.0
FAST_WEIGHT = 0.07  # of the fast part of the gap beside the whole gap, at the highest learning rate
WARMUP_STEPS = 50
MAX_AVERAGE_DECAY = 0.995  # of averaged weights, in a step


def make_optimizers(backend: torch.nn.Module, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner matrices, Adam for embeddings, norms, biases and last layers."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in backend.named_parameters():
        inner = parameter.ndim == 2 and "embedder" not in name and "last_layers" not in name
        (matrices if inner else others).append(parameter)
    return [
        Muon(matrices, lr=learning_rate),
        torch.optim.Adam(others, lr=learning_rate, betas=(0.9, 0.98), fused=True),
    ]


class TrainingLoop:
    """Trains a network for one stage.

    Batches depend on seed and step only, so that a resumed training sees what it would have seen.

    Args:
        model: the network, its outputs in units of ``scale``; in the end it holds the weights
            averaged over the last steps.
        frames: to train on.
        stage: what to do.
        scale: eV/Å.
        batch_size: frames per step.
        seed: of order and rotations.
        epochs, minutes: how long; what is reached first ends the stage.
        self_generated: segments of the model's own dynamics, for the alignment.
    """

    def __init__(
        self,
        model: PET,
        frames: Sequence[Frame],
        stage: Stage,
        *,
        scale: float,
        batch_size: int,
        seed: int,
        epochs: float | None,
        minutes: float | None,
        self_generated: Sequence[Segment] = (),
    ) -> None:
        self.model, self.frames, self.stage = model, frames, stage
        self.self_generated = self_generated
        self.scale, self.seed = scale, seed
        self.epochs, self.minutes = epochs, minutes
        self.batch_size = min(batch_size, len(frames))
        self.step = self.seen = 0  # steps, frames
        self.elapsed_s = self.cpu_s = 0.0
        self.average = {k: v.detach().clone() for k, v in model.backend.named_parameters()}
        self.optimizers = make_optimizers(model.backend, stage.learning_rate(0.0))

    @property
    def progress(self) -> float:
        """How much of the stage is done, 0 to 1."""
        done = [0.0]
        if self.epochs is not None:
            done.append(self.seen / (self.epochs * len(self.frames)))
        if self.minutes is not None:
            done.append(self.elapsed_s / (60 * self.minutes))
        return min(1.0, max(done))

    def run(self, after_step: Callable[[TrainingLoop], None]) -> dict[str, Any]:
        """Train to the end of the stage.

        Out of memory halves the batch; with a single frame the error is passed on.

        Returns:
            The state at the end, before the averaged weights took the place of the last ones.
        """
        self.model.train()
        while self.progress < 1:
            begin, cpu = time.perf_counter(), time.process_time()
            try:
                self.take_step()
            except RuntimeError as error:
                if self.batch_size == 1 or not is_out_of_memory(error):
                    raise
                self.batch_size //= 2
            self.elapsed_s += time.perf_counter() - begin
            self.cpu_s += time.process_time() - cpu
            after_step(self)
        end = copy.deepcopy(self.state())
        self.model.backend.load_state_dict(self.average, strict=False)
        self.model.eval()
        return end

    def choose(
        self, items: Sequence[Item], stream: int, frames: int = 1
    ) -> tuple[list[Item], torch.Tensor]:
        """What this step sees of items with so many frames each; what fills no batch is left out.

        Returns:
            Some items, and how to rotate each of them, shape (their number, 3, 3).
        """
        size = min(max(1, self.batch_size // frames), len(items))
        per_epoch = len(items) // size
        epoch, index = divmod(self.step, per_epoch)
        order = np.random.default_rng([self.seed, stream, epoch]).permutation(len(items))
        chosen = [items[i] for i in order[index * size : (index + 1) * size]]
        rng = np.random.default_rng([self.seed, stream, epoch, index])
        return chosen, random_rotations(len(chosen), rng)

    def loss(self) -> torch.Tensor:
        """The loss of this step, shape (): on labels, and in the alignment on the gap too."""
        frames, rotations = self.choose(self.frames, stream=0)
        batch = Batch(frames, rotations, self.scale)
        results = predict(self.model, batch, conservative=self.stage.conservative)
        differences, ramp = errors(results, batch), self.stage.weight_ramp(self.progress)
        if not self.self_generated:
            return loss_of(differences, ramp)
        del differences["gap"]  # self-generated frames tell it
        return loss_of(differences, ramp) + self.alignment_loss()

    def alignment_loss(self) -> torch.Tensor:
        """The loss of the gap on self-generated segments, its fast part drawn out, shape ().

        That counts the more the lower the learning rate is: before, what steps leave of noise is
        larger than what there is to learn, and would drown the rest.

        ``L + w / η √(L / F) F``, the root taken as a constant: with it both gradients are alike

        ======= ==================================
        symbol  variable
        ======= ==================================
        ``L``   ``whole``, loss of the gap
        ``F``   ``fast``, loss of its fast part
        ``w``   ``FAST_WEIGHT``
        ``η``   ``stage.rate``
        ======= ==================================
        """
        segments, rotations = self.choose(self.self_generated, stream=1, frames=SEGMENT_LENGTH)
        rotations = rotations.repeat(SEGMENT_LENGTH, 1, 1)
        batch = Batch(flatten_by_time(segments), rotations, self.scale)
        results = predict(self.model, batch, conservative=True, create_graph=False)
        gap = errors(results, batch)["gap"]
        whole = loss_of({"self_generated": gap}, 1.0)
        fast = loss_of({"fast": fast_part(gap, batch.edges.numbers)}, 1.0)
        weight = FAST_WEIGHT / self.stage.rate(self.progress)
        ratio = (whole / fast.clamp(min=1e-12)).sqrt().detach()
        return whole + weight * ratio * fast

    def take_step(self) -> None:
        """Do one step and count it."""
        self.model.zero_grad()
        self.loss().backward()
        torch.nn.utils.clip_grad_norm_(self.model.backend.parameters(), MAX_GRADIENT_NORM)
        rate = self.stage.learning_rate(self.progress) * min(1.0, (self.step + 1) / WARMUP_STEPS)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        self.step += 1
        self.seen += self.batch_size
        keep = min(MAX_AVERAGE_DECAY, self.step / (self.step + 10))
        for name, value in self.model.backend.named_parameters():
            self.average[name].lerp_(value.detach(), 1 - keep)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the network the averaged weights, within."""
        weights = {k: v.detach().clone() for k, v in self.model.backend.named_parameters()}
        self.model.backend.load_state_dict(self.average, strict=False)
        yield
        self.model.backend.load_state_dict(weights, strict=False)

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs; the names in it are those of files that exist."""
        return {
            "model": self.model.backend.state_dict(),
            "average": self.average,
            "steppers": [optimizer.state_dict() for optimizer in self.optimizers],
            "counts": (self.step, self.seen, self.batch_size, self.elapsed_s, self.cpu_s),
        }

    def continue_from(self, state: dict[str, Any]) -> None:
        """Follow the stage that ended with ``state``, as if there were no end between.

        Without that the steps would be as large as the first ones of a training.
        """
        elapsed = self.elapsed_s, self.cpu_s
        self.resume(state)
        self.seen, (self.elapsed_s, self.cpu_s) = 0, elapsed

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a ``state`` of this stage."""
        self.model.backend.load_state_dict(state["model"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["steppers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.seen, size, self.elapsed_s, self.cpu_s = state["counts"]
        self.batch_size = min(size, self.batch_size)
