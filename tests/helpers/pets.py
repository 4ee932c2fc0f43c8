"""Small PETs with any options, exported, and structures for them."""

from __future__ import annotations

import finite
import labelled
import numpy as np
import torch
from ase import Atoms

from halfkick.models.backends.pet import metatrain
from halfkick.models.train.options import TrainOptions

SMALL = TrainOptions(size="xs").architecture
OPTIONS = {
    "as trained here": {},
    "as PET-MAD": {
        "transformer_type": "PostLN", "normalization": "LayerNorm", "activation": "SiLU",
        "featurizer_type": "residual", "num_attention_layers": 2, "d_node": 32,
    },
    "mixed": {
        "transformer_type": "PostLN", "activation": "SiLU", "cutoff_function": "Cosine",
        "num_gnn_layers": 3, "attention_temperature": 1.7,
    },
    "one layer": {"normalization": "LayerNorm", "d_node": 32, "num_gnn_layers": 1},
}  # fmt: skip
HEADS = ("energy", "non_conservative_force", "non_conservative_stress")


def export(path, options, heads=HEADS):
    torch.manual_seed(3)
    made = metatrain.new([1, 8], heads, SMALL | options, {1: -0.5, 8: -2.0})
    metatrain.export(made, path)
    return path


def structures():
    """Of several sizes, one without neighbours, one without a cell."""
    lone = Atoms("O", cell=np.eye(3) * 20.0, pbc=True)
    (molecule,) = labelled.frames(1, seed=2)
    found = [*labelled.frames(2, periodic=True, seed=1), lone, molecule]
    return [finite.structure_of(atoms, slot) for slot, atoms in enumerate(found)]
