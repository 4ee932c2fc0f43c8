"""The toy model with something wrong; named as ``python:faulty:NAME``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from toy import Toy

from halfkick.models.base import ForceResult, Role, Structure

BEFORE = 16
"""Structures that are evaluated well: those of the energy test, and of two outer steps and more."""


class Faulty(Toy):
    """Well for some structures, then with the fault.

    Args:
        fault: ``atoms`` (one too many), ``poison`` (energy and virial of the direct head NaN) or
            ``hang``.
    """

    def __init__(self, fault: str) -> None:
        super().__init__()
        self._fault = fault

    def evaluate(
        self, structures: Sequence[Structure], roles: frozenset[Role]
    ) -> list[Mapping[Role, ForceResult]]:
        results = super().evaluate(structures, roles)
        if self.evaluated < BEFORE:
            return results
        if self._fault == "hang":
            time.sleep(1e6)
        return [{role: self._spoil(result, role) for role, result in r.items()} for r in results]

    def _spoil(self, result: ForceResult, role: Role) -> ForceResult:
        if self._fault == "atoms":
            return replace(result, forces=np.concatenate([result.forces, np.zeros((1, 3))]))
        if role is Role.DIRECT:
            return replace(result, energy=np.nan, virial=np.full((3, 3), np.nan))
        return result


def atoms() -> Faulty:
    return Faulty("atoms")


def poison() -> Faulty:
    return Faulty("poison")


def hang() -> Faulty:
    return Faulty("hang")
