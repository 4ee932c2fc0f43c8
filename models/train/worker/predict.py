"""Predictions of the network for a batch: energies, conservative and direct forces, virials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ...backends.pet.config import PETConfig
from ...backends.pet.metatrain import DIRECT, ENERGY, STRESS
from ...backends.pet.network import Network
from .batch import Batch

if TYPE_CHECKING:
    from metatrain.pet import PET

__all__ = ["VIRIALS", "errors", "predict"]

VIRIALS = frozenset({"virial", "direct_virial"})
"""Results that some frames have no label of."""


def predict(
    model: PET, batch: Batch, *, conservative: bool, create_graph: bool = True
) -> dict[str, torch.Tensor]:
    """Evaluate all heads in one pass.

    Args:
        model: the network.
        batch: s systems of n atoms in all.
        conservative: whether to differentiate the energy.
        create_graph: whether the conservative forces can be differentiated again, if the network
            trains.

    Returns:
        As far as the network has the heads: ``energy``, shape (s,), ``direct`` (n, 3),
        ``direct_virial`` (s, 3, 3), and if ``conservative`` ``forces`` (n, 3). ``virial``
        (s, 3, 3), the strain derivative, comes with the head for stresses only, since then there
        are labels of it. All are in units of the network's scale (eV, eV/Å); virials are per atom
        and have the sign of the stress.
    """
    backend, edges = model.backend, batch.edges
    heads = [h for h in (ENERGY, DIRECT, STRESS) if h in backend.node_heads]
    index = {"species_to_species_index": backend.species_to_species_index}
    network = Network(PETConfig.from_backend(backend), dict(backend.named_parameters()) | index)
    if conservative:
        edges = edges.differentiable()
    predictions = network(edges, heads)
    per_atom = 1 / batch.n_atoms[:, None, None]
    results = {}
    if DIRECT in heads:
        results["direct"] = predictions[DIRECT]
    if STRESS in heads:
        virial = edges.sum_systems(predictions[STRESS]).view(-1, 3, 3) * per_atom
        results["direct_virial"] = 0.5 * (virial + virial.transpose(1, 2))
    if ENERGY in heads:
        results["energy"] = edges.sum_systems(predictions[ENERGY])[:, 0]
    if conservative:
        by_position, by_strain = edges.differentiate(
            results["energy"].sum(), strain=STRESS in heads,
            create_graph=create_graph and model.training, retain_graph=model.training,
        )  # fmt: skip
        results["forces"] = -by_position
        if by_strain is not None:
            results["virial"] = by_strain * per_atom
    return results


def errors(results: dict[str, torch.Tensor], batch: Batch) -> dict[str, torch.Tensor]:
    """Differences to the labels, in the units of the batch and of the shapes of ``results``.

    ``energy``, shape (s,), is divided by the square root of the number of atoms, which makes it as
    large in big systems as in small ones. Virials are zero for frames without a label of them, so
    that a mean weighs each label alike in any batch. ``gap``, shape (n, 3), is direct minus
    conservative forces; it does not pull at the conservative ones.

    Args:
        results: of :func:`predict`.
        batch: the same.
    """
    labels = {"direct": batch.forces, "forces": batch.forces}
    labels |= {"direct_virial": batch.virial, "virial": batch.virial}
    differences = {k: value - labels[k] for k, value in results.items() if k != "energy"}
    for name in VIRIALS & differences.keys():
        differences[name] = differences[name] * batch.has_virial
    if "direct" in results and "forces" in results:
        differences["gap"] = results["direct"] - results["forces"].detach()
    if "energy" in results:
        differences["energy"] = (results["energy"] - batch.energy) / batch.n_atoms.sqrt()
    return differences
