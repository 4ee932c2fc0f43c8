"""Structures for universal models, and what a family's own ASE calculator makes of them."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from halfkick.models.base import Role
from halfkick.models.frames import structure_of


def triclinic() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.1, 0.0], [0.0, 1.05, 0.08], [0.0, 0.0, 0.95]], True)
    atoms.rattle(0.15, seed=1)
    return atoms


def slab() -> Atoms:
    """Periodic in two directions; what is given for the third is not used."""
    atoms = fcc111("Cu", (1, 1, 3), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.rattle(0.1, seed=2)
    return atoms


def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.08, seed=3)
    return atoms


def hydronium() -> Atoms:
    atoms = Atoms("OH3", [[0, 0, 0.1], [0.95, 0, -0.2], [-0.48, 0.82, -0.2], [-0.5, -0.85, -0.15]])
    atoms.info = {"charge": 1, "spin": 1}
    return atoms


def energy(model, atoms) -> float:
    (results,) = model.evaluate([structure_of(atoms)], frozenset({Role.CONSERVATIVE}))
    return results[Role.CONSERVATIVE].energy


def check_equals_calculator(model, calculator, frames, same, role=Role.CONSERVATIVE) -> None:
    """Compare energy, forces and virial of all frames, evaluated in one call, to ``same``.

    Relative for energies and forces above 1 eV and 1 eV/Å.
    """
    results = model.evaluate([structure_of(a) for a in frames], frozenset({role}))
    for atoms, got in zip(frames, results, strict=True):
        atoms = atoms.copy()
        atoms.calc = calculator
        forces = atoms.get_forces()
        np.testing.assert_allclose(got[role].forces, forces, atol=same, rtol=same)
        assert abs(forces).max() > 0.01
        if role is Role.CONSERVATIVE:
            np.testing.assert_allclose(got[role].energy, atoms.get_potential_energy(), rtol=same)
        if atoms.pbc.all() and role in model.capabilities.stress:
            virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
            np.testing.assert_allclose(got[role].virial, virial, atol=20 * same, rtol=same)
            assert abs(virial).max() > 0.01


def orb(conservative: bool = False, charged: bool = False):
    """A small network of Orb, its weights at random but larger than at the start of a training."""
    import torch
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.atomic_system import SystemConfig

    torch.manual_seed(0)
    make = "orb_v3_conservative_architecture" if conservative else "orb_v3_direct_architecture"
    model = getattr(pretrained, make)(
        latent_dim=32,
        base_mlp_hidden_dim=64,
        head_mlp_hidden_dim=32,
        num_message_passing_steps=2,
        has_charge_spin_cond=charged,
        device="cpu",
        system_config=SystemConfig(radius=6.0, max_num_neighbors=200),
    )
    for head in model.heads.values():
        if hasattr(head, "normalizer"):
            head.normalizer.bn.running_var.fill_(30.0)
    return model.eval()


def esen(path, direct: bool, tasks=("omat",)) -> None:
    """Write a checkpoint of a small eSEN as fairchem's training does; weights at random."""
    import torch
    from fairchem.core.models.base import HydraModel
    from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint

    torch.manual_seed(0)
    uma = "fairchem.core.models.uma.escn_md"
    backbone = {
        "model": f"{uma}.eSCNMDBackbone",
        **{"max_num_elements": 100, "sphere_channels": 8, "hidden_channels": 8},
        **{"edge_channels": 8, "num_distance_basis": 16, "lmax": 2, "mmax": 2, "num_layers": 2},
        **{"cutoff": 5.0, "max_neighbors": 300, "otf_graph": True, "use_dataset_embedding": False},
        **{"direct_forces": direct, "regress_forces": True, "regress_stress": not direct},
    }
    heads, properties = {}, ("energy", "forces") if direct else ("energy", "forces", "stress")
    for task in tasks:
        if direct:
            heads[f"{task}_energy"] = {"module": f"{uma}.MLP_Energy_Head"}
            heads[f"{task}_forces"] = {"module": f"{uma}.Linear_Force_Head"}
        else:
            heads[f"{task}_efs"] = {
                "module": f"{uma}.MLP_EFS_Head", "prefix": task, "wrap_property": True
            }  # fmt: skip
    config = {"backbone": backbone, "heads": heads, "pass_through_head_outputs": not direct}
    model = HydraModel(**config)
    for name, weights in model.named_parameters():
        if "energy_block" in name or "force" in name or "embedding" in name:
            weights.data.mul_(3.0)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    base = "fairchem.core"
    dims = {"energy": [1], "forces": [3], "stress": [1, 9]}
    tasks_config = [
        {
            "_target_": f"{base}.units.mlip_unit.mlip_unit.Task",
            "name": f"{task}_{one}",
            "level": "atom" if one == "forces" else "system",
            "property": one,
            "out_spec": {
                "_target_": f"{base}.units.mlip_unit.mlip_unit.OutputSpec",
                "dim": dims[one],
                "dtype": "float32",
            },
            "normalizer": {
                "_target_": f"{base}.modules.normalization.normalizer.Normalizer",
                **{"mean": 0.0, "rmsd": 1.0},
            },
            "datasets": [task],
        }
        for task in tasks
        for one in properties
    ]
    config["_target_"] = f"{base}.models.base.HydraModel"
    checkpoint = MLIPInferenceCheckpoint(
        model_config=config,
        model_state_dict=model.state_dict(),
        ema_state_dict=averaged.state_dict(),
        tasks_config=tasks_config,
    )
    torch.save(checkpoint, path)


def torchsim_orb(file, device="cpu"):
    """A regressor of Orb, for TorchSim."""
    import torch
    from torch_sim.models.orb import OrbModel

    return OrbModel(torch.load(file, weights_only=False), device=device)


def mace(path) -> None:
    """Write a small MACE for the elements of the structures above; weights at random."""
    import numpy as np
    import torch
    from e3nn import o3
    from mace import modules

    torch.manual_seed(0)
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    numbers = [1, 6, 8, 11, 17, 29]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        model = modules.ScaleShiftMACE(
            **{"r_max": 5.0, "num_bessel": 6, "num_polynomial_cutoff": 6, "max_ell": 2},
            **{"interaction_cls": block, "interaction_cls_first": block, "num_interactions": 2},
            **{"num_elements": len(numbers), "atomic_numbers": numbers, "correlation": 2},
            **{"hidden_irreps": o3.Irreps("8x0e+8x1o"), "MLP_irreps": o3.Irreps("4x0e")},
            **{"atomic_energies": np.zeros(len(numbers)), "avg_num_neighbors": 10.0},
            **{"gate": torch.nn.functional.silu, "radial_type": "bessel"},
            **{"atomic_inter_scale": 5.0, "atomic_inter_shift": 0.0},
        )
    finally:
        torch.set_default_dtype(before)
    torch.save(model, path)


def mattersim(path) -> None:
    """Write a checkpoint of a small M3GNet as MatterSim reads them; weights at random."""
    import torch
    from mattersim.forcefield.m3gnet.m3gnet import M3Gnet

    torch.manual_seed(0)
    size = {"num_blocks": 1, "units": 16, "max_l": 3, "max_n": 3, "cutoff": 5.0}
    weights = M3Gnet(device="cpu", **size).state_dict()
    weights |= {name: 4.0 * value for name, value in weights.items() if "final" in name}
    torch.save({"model_name": "m3gnet", "model": weights, "model_args": size}, path)
