"""``halfkick distill``: a small, fast student of any potential, for the inside of MTS."""

from halfkick.models.distill.options import DistillOptions
from halfkick.models.distill.run import distill

__all__ = ["DistillOptions", "distill"]
