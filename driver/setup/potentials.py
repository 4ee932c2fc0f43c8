"""i-PI's own potentials (``<ffdirect> <pes>``), and the models of halfkick that are the same."""

from __future__ import annotations

from ...models.spec import ModelSpec
from ..ipi.serving import ForceFieldElement

__all__ = ["model_of"]


def model_of(field: ForceFieldElement) -> ModelSpec | None:
    """The model that a force field computes; ``None`` where it is not known.

    An ``<ffsocket>`` says so itself, if its ``<parameters>`` hold a ``model``.
    """
    given = field.parameters
    if field.kind == "ffsocket" or field.pes == "metatomic":
        name = given.get("model")
        if name is None:
            return None
        spec = ModelSpec.parse(name)
        direct = "non_conservative_variant" if "non_conservative_variant" in given else ""
        variant = given.get(direct or "energy_variant")
        more = {"variant": variant, "extensions": given.get("extensions")}
        return spec.with_options(**{key: value for key, value in more.items() if value})
    if field.pes == "mace" and "model" in given:
        return ModelSpec("mace", given["model"])
    if field.pes == "so3lr":
        return ModelSpec("so3lr", "")
    if field.pes == "xtb" and "method" in given:
        charge = given.get("charge", "").split(".")[0]
        options = {"charge": int(charge)} if charge.lstrip("-").isdigit() and int(charge) else {}
        return ModelSpec("tblite", given["method"], options)
    return None
