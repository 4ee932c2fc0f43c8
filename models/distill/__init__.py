"""``halfkick distill``: a small, fast student of any potential, for the inside of MTS."""

from .options import DistillOptions
from .run import distill

__all__ = ["DistillOptions", "distill"]
