"""Engines and their outputs: direct forces at once, conservative ones on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ..base import ForceResult, Role, Structure

__all__ = ["Engine", "EngineOutputs", "cut", "symmetric", "to_numpy"]


class Engine(Protocol):
    """Something that runs a model."""

    def run(
        self,
        structures: Sequence[Structure],
        kinds: Mapping[str, str],
        virial: bool,
        gradients: bool = True,
    ) -> EngineOutputs:
        """Pass once through the model.

        Args:
            structures: any number, of any sizes.
            kinds: what to compute, of ``energy``, ``force``, ``stress``, and the model's name
                for it.
            virial: whether to differentiate energies by strain too.
            gradients: whether to differentiate energies at all; else forces are zero.
        """

    def find_neighbors(self, structures: Sequence[Structure]) -> object:
        """Do only what comes before the model: for measuring it."""


class EngineOutputs:
    """The outputs of a model for some structures.

    Args:
        direct: results of direct forces, if they were asked for.
        differentiate: makes the conservative results, if energies were asked for.

    Attributes:
        more: makes what goes with the conservative results of each structure, by name.
    """

    def __init__(
        self,
        structures: Sequence[Structure],
        direct: Iterable[ForceResult] | None,
        differentiate: Callable[[], Iterable[ForceResult]] | None,
    ) -> None:
        self._differentiate = differentiate
        self.more: Callable[[], Iterable[Mapping[str, NDArray[np.float64]]]] | None = None
        self.direct: list[dict[Role, ForceResult]] = [{} for _ in structures]
        if direct is not None:
            for results, result in zip(self.direct, direct, strict=True):
                results[Role.DIRECT] = result

    def conservative(self) -> Iterable[ForceResult]:
        """The conservative results, if there are energies."""
        results = () if self._differentiate is None else self._differentiate()
        if self.more is None:
            return results
        return [replace(r, outputs=o) for r, o in zip(results, self.more(), strict=True)]

    def complete(self) -> list[dict[Role, ForceResult]]:
        """The direct results and, if there are energies, the conservative ones."""
        if self._differentiate is None:
            return self.direct
        pairs = zip(self.direct, self.conservative(), strict=True)
        return [{**direct, Role.CONSERVATIVE: result} for direct, result in pairs]


def cut(rows: NDArray[np.float64], structures: Sequence[Structure]) -> list[NDArray[np.float64]]:
    """Cut rows of the atoms of all structures, shape (ΣN, …), into those of each, (N, …)."""
    return np.split(rows, np.cumsum([len(s.numbers) for s in structures])[:-1])


def to_numpy(tensor: torch.Tensor) -> NDArray[np.float64]:
    """Return the values as float64 on the CPU, of the same shape."""
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy()


def symmetric(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric part of matrices, shape (…, n, n)."""
    return 0.5 * (matrix + matrix.swapaxes(-1, -2))
