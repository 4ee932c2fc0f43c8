"""``halfkick train``: from labelled frames to a model with direct and conservative forces."""

from .card import TrainCard
from .options import TrainOptions
from .run import train

__all__ = ["TrainCard", "TrainOptions", "train"]
