"""The loop of one stage: batches, steps, averages; it can be stopped and resumed anywhere."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from .batch import Batch, Frame, rotations
from .muon import Muon
from .passage import LENGTH, Passage, fast_part, in_order
from .predict import errors, predict
from .stage import Stage, loss_of

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["Loop"]

Item = TypeVar("Item")

CLIP = 1.0
FAST_PULL = 0.07  # of the fast part of the gap beside the whole gap, at the highest learning rate
WARMUP = 50  # steps


def optimizers(model: PET, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner matrices, Adam for embeddings, norms, biases and last layers."""
    matrices, others = [], []
    for name, parameter in model.backend.named_parameters():
        inner = parameter.ndim == 2 and "embedder" not in name and "last_layers" not in name
        (matrices if inner else others).append(parameter)
    return [
        Muon(matrices, lr=learning_rate),
        torch.optim.Adam(others, lr=learning_rate, betas=(0.9, 0.98), fused=True),
    ]


class Loop:
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
        own: passages of the model's own dynamics, for the alignment.
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
        own: Sequence[Passage] = (),
    ) -> None:
        self.model, self.frames, self.stage, self.own = model, frames, stage, own
        self.scale, self.seed = scale, seed
        self.epochs, self.minutes = epochs, minutes
        self.batch_size = min(batch_size, len(frames))
        self.step = self.seen = 0  # steps, frames
        self.elapsed_s = self.cpu_s = 0.0
        self.average = {k: v.detach().clone() for k, v in model.backend.named_parameters()}
        self.steppers = optimizers(model, stage.learning_rate(0.0))

    @property
    def progress(self) -> float:
        """How much of the stage is done, 0 to 1."""
        done = [0.0]
        if self.epochs is not None:
            done.append(self.seen / (self.epochs * len(self.frames)))
        if self.minutes is not None:
            done.append(self.elapsed_s / (60 * self.minutes))
        return min(1.0, max(done))

    def run(self, after_step: Callable[[Loop], None]) -> dict[str, Any]:
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
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if self.batch_size == 1 or not out_of_memory(error):
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
        """What this step sees of items with so many frames each, and how each item is turned.

        What fills no batch is left out.
        """
        size = min(max(1, self.batch_size // frames), len(items))
        per_epoch = len(items) // size
        epoch, place = divmod(self.step, per_epoch)
        order = np.random.default_rng([self.seed, stream, epoch]).permutation(len(items))
        chosen = [items[i] for i in order[place * size : (place + 1) * size]]
        turns = rotations(len(chosen), np.random.default_rng([self.seed, stream, epoch, place]))
        return chosen, turns

    def loss(self) -> torch.Tensor:
        """The loss of this step: on labels, and in the alignment on own passages too."""
        frames, turns = self.choose(self.frames, stream=0)
        batch = Batch(frames, turns, self.scale)
        results = predict(self.model, batch, conservative=self.stage.conservative)
        found = errors(results, batch)
        if not self.own:
            return loss_of(found, self.stage.ripeness(self.progress))
        del found["gap"]  # own passages tell it
        return loss_of(found, self.stage.ripeness(self.progress)) + self.own_loss()

    def own_loss(self) -> torch.Tensor:
        """The loss of the gap on own passages, its fast part drawn out.

        That pulls the more the lower the learning rate is: before, what steps leave of noise is
        larger than what there is to learn, and would drown the rest.
        """
        passages, turns = self.choose(self.own, stream=1, frames=LENGTH)
        batch = Batch(in_order(passages), turns.repeat(LENGTH, 1, 1), self.scale)
        results = predict(self.model, batch, conservative=True, twice=False)
        gap = errors(results, batch)["gap"]
        whole = loss_of({"own": gap}, 1.0)
        fast = loss_of({"fast": fast_part(gap, batch.edges.numbers)}, 1.0)
        pull = FAST_PULL / self.stage.rate(self.progress)
        even = (whole / fast.clamp(min=1e-12)).sqrt().detach()  # with it gradients are alike
        return whole + pull * even * fast

    def take_step(self) -> None:
        """Do one step and count it."""
        self.model.zero_grad()
        self.loss().backward()
        torch.nn.utils.clip_grad_norm_(self.model.backend.parameters(), CLIP)
        rate = self.stage.learning_rate(self.progress) * min(1.0, (self.step + 1) / WARMUP)
        for stepper in self.steppers:
            for group in stepper.param_groups:
                group["lr"] = rate
            stepper.step()
        self.step += 1
        self.seen += self.batch_size
        keep = min(0.995, self.step / (self.step + 10))
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
        """Everything that resuming needs."""
        return {
            "model": self.model.backend.state_dict(),
            "average": self.average,
            "steppers": [s.state_dict() for s in self.steppers],
            "counts": (self.step, self.seen, self.batch_size, self.elapsed_s, self.cpu_s),
        }

    def go_on(self, state: dict[str, Any]) -> None:
        """Follow the stage that ended with ``state``, as if there were no end between.

        Without that the steps would be as large as the first ones of a training.
        """
        elapsed = self.elapsed_s, self.cpu_s
        self.resume(state)
        self.seen, (self.elapsed_s, self.cpu_s) = 0, elapsed

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, of this stage."""
        self.model.backend.load_state_dict(state["model"])
        self.average = state["average"]
        for stepper, saved in zip(self.steppers, state["steppers"], strict=True):
            stepper.load_state_dict(saved)
        self.step, self.seen, size, self.elapsed_s, self.cpu_s = state["counts"]
        self.batch_size = min(size, self.batch_size)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch could not get memory, on a GPU or a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
