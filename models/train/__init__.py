"""``halfkick train``: from labelled frames to a model with direct and conservative forces."""

from halfkick.models.train.card import Card
from halfkick.models.train.options import TrainOptions
from halfkick.models.train.run import train

__all__ = ["Card", "TrainOptions", "train"]
