"""The toy model with one fault each, which the contract of models has to find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import toy

from halfkick.models.base import Role


class Changed(toy.Toy):
    """The toy, whose results are changed one by one."""

    def change(self, result, role, structure):
        return result

    def evaluate(self, structures, roles):
        batch = super().evaluate(structures, roles)
        return [
            {role: self.change(result, role, structure) for role, result in results.items()}
            for results, structure in zip(batch, structures, strict=True)
        ]


class WrongSign(Changed):
    def change(self, result, role, structure):
        return replace(result, virial=-result.virial)


class WrongForceSign(Changed):
    def change(self, result, role, structure):
        return replace(result, forces=-result.forces)


class Hartree(Changed):
    """Its energy alone was forgotten when units were converted."""

    def change(self, result, role, structure):
        return replace(result, energy=result.energy / 27.211386)


class Bohr(Changed):
    """Forces by bohr."""

    def change(self, result, role, structure):
        return replace(result, forces=result.forces * 0.529177)


class NoGradient(Changed):
    """The direct head in place of the gradient."""

    def change(self, result, role, structure):
        if role is Role.DIRECT:
            return result
        swirl = np.cross([0.0, 0.0, 1e-3], structure.positions)
        return replace(result, forces=result.forces + swirl)


class NotPeriodic(Changed):
    """Sees where in space an atom is."""

    def change(self, result, role, structure):
        return replace(result, forces=result.forces + 1e-6 * structure.positions)


class DependsOnOrder(Changed):
    def change(self, result, role, structure):
        return replace(result, forces=result.forces + 1e-7 * np.arange(len(result.forces))[:, None])


class OneFewer(Changed):
    def change(self, result, role, structure):
        return replace(result, forces=result.forces[:-1])


class Single(Changed):
    def change(self, result, role, structure):
        return replace(result, forces=result.forces.astype(np.float32))


class NotFinite(Changed):
    def change(self, result, role, structure):
        return replace(result, virial=result.virial * np.nan)


class Antisymmetric(Changed):
    def change(self, result, role, structure):
        return replace(result, virial=result.virial + np.triu(np.ones((3, 3)), 1))


class DirectEnergy(Changed):
    def change(self, result, role, structure):
        return replace(result, energy=result.energy + 1.0)


class VirialUnasked(Changed):
    """A virial that is neither right nor zero where it is not needed."""

    def change(self, result, role, structure):
        return result if self.needs_virial else replace(result, virial=0.5 * result.virial)


class ForcesWithoutVirial(Changed):
    def change(self, result, role, structure):
        return result if self.needs_virial else replace(result, forces=1.001 * result.forces)


class DependsOnBatch(toy.Toy):
    def evaluate(self, structures, roles):
        batch = super().evaluate(structures, roles)
        return [
            {role: replace(r, forces=r.forces * (1 + 1e-6 * k)) for role, r in results.items()}
            for k, results in enumerate(batch)
        ]


class DependsOnRoles(toy.Toy):
    """Its direct forces are others with the conservative ones beside them."""

    def evaluate(self, structures, roles):
        batch = super().evaluate(structures, roles)
        if len(roles) > 1:
            for results in batch:
                direct = results[Role.DIRECT]
                results[Role.DIRECT] = replace(direct, forces=direct.forces * (1 + 1e-6))
        return batch


class StaleNeighbours(toy.Toy):
    """Its list of pairs is made once for each slot."""

    def __init__(self):
        super().__init__()
        self._images = {}

    def evaluate(self, structures, roles):
        return super().evaluate([self._stale(s) for s in structures], roles)

    def _stale(self, structure):
        if structure.slot is None or not structure.pbc.all():
            return structure
        scaled = structure.positions @ np.linalg.inv(structure.cell)
        images = self._images.setdefault(structure.slot, np.floor(scaled))
        far = np.abs(scaled - images - 0.5).max(axis=1) > 0.5  # has left the cell it was in
        pbc = structure.pbc & ~far.any()
        return replace(structure, pbc=pbc)


class Latest(toy.Toy):
    """Gives the array of the last result again."""

    def __init__(self):
        super().__init__()
        self._forces = {}

    def evaluate(self, structures, roles):
        batch = super().evaluate(structures, roles)
        for results in batch:
            for role, result in results.items():
                kept = self._forces.setdefault((role, len(result.forces)), result.forces)
                kept[:] = result.forces
                results[role] = replace(result, forces=kept)
        return batch


class Wraps(toy.Toy):
    """Wraps the positions it is given, in place."""

    def evaluate(self, structures, roles):
        for structure in structures:
            if structure.pbc.all():
                structure.positions[:] = structure.positions + structure.cell[0]
        return super().evaluate(structures, roles)


class DirectLate(toy.Toy):
    def evaluate_in_parts(self, structures, roles):
        batch = self.evaluate(structures, roles)
        if len(roles) > 1:
            yield [{Role.CONSERVATIVE: results[Role.CONSERVATIVE]} for results in batch]
        yield batch


class NeverComplete(toy.Toy):
    def evaluate_in_parts(self, structures, roles):
        batch = self.evaluate(structures, roles)
        yield [{r: results[r] for r in results if r is Role.DIRECT} for results in batch]


class EachAlone(toy.Toy):
    """Yields one structure after the other."""

    def evaluate_in_parts(self, structures, roles):
        batch = self.evaluate(structures, roles)
        for count in range(1, len(batch) + 1):
            yield batch[:count]


class TakesAll(toy.Toy):
    """Evaluates any species; ``check`` is not called."""

    def check(self, numbers, role):
        pass


class KeyErrors(toy.Toy):
    """Fails with an error of its own."""

    def check(self, numbers, role):
        if set(numbers.tolist()) - self.capabilities.species:
            raise KeyError("no such species")


class DirectHidden(toy.Toy):
    """Says that it has no direct forces, and gives them."""

    def __init__(self):
        super().__init__(direct=False)

    def check(self, numbers, role):
        if role is not Role.DIRECT:
            super().check(numbers, role)


class NoRoles(toy.Toy):
    def __init__(self):
        super().__init__()
        self.capabilities = replace(self.capabilities, roles=frozenset(), stress=frozenset())


class NoStress(Changed):
    """Says that it has no direct stress, and gives one."""

    def __init__(self):
        super().__init__(direct_stress=False)

    def change(self, result, role, structure):
        return replace(result, virial=result.virial + np.eye(3))


class ForgetsARole(toy.Toy):
    def evaluate(self, structures, roles):
        return super().evaluate(structures, frozenset(list(roles)[:1]))


FAULTS = {
    WrongSign: r"virial of structure 0 to be -dE/dε .*factor of -1: the sign is wrong",
    WrongForceSign: r"forces of structure 0 to be -dE/dx .*factor of -1: the sign is wrong",
    Hartree: r"forces .*factor of 27.21: they may be in hartree",
    Bohr: r"forces .*factor of 0.5292: lengths may be in bohr",
    NoGradient: r"forces of structure 0 to be -dE/dx to 1e-05 eV/Å, got -?[0-9.]+ where",
    NotPeriodic: "forces before and after a move by a lattice vector",
    DependsOnOrder: "forces of atoms in another order",
    OneFewer: r"forces of structure 0 of shape \(27, 3\), got \(26, 3\)",
    Single: "forces of structure 0 as a float64 array, got float32",
    NotFinite: "finite conservative virial of structure 0, got NaN",
    Antisymmetric: "a symmetric conservative virial of structure 0",
    DirectEnergy: "energy 0 with direct forces",
    VirialUnasked: "virial with and without needs_virial",
    ForcesWithoutVirial: "forces with and without needs_virial",
    DependsOnBatch: "forces in a batch and one by one",
    DependsOnRoles: "direct forces in one pass for all roles and alone",
    StaleNeighbours: r"in step [1-7] of a walk with and without a slot",
    Latest: "results of structure 0 to stay",
    Wraps: "structure 0 to be left as it is",
    DirectLate: "direct results before conservative ones",
    NeverComplete: "the last list of evaluate_in_parts to be complete",
    EachAlone: "each list of evaluate_in_parts to be for all structures, got 1",
    TakesAll: "ModelError for atomic number 2, .* got results",
    KeyErrors: "ModelError for atomic number 2, .* got KeyError: 'no such species'",
    DirectHidden: "ModelError for direct forces, got results",
    NoRoles: "capabilities.roles to be some of Role, got none",
    NoStress: "virial 0 of structure 0, since direct is not in capabilities.stress",
    ForgetsARole: "results for conservative, direct of structure 0",
}
