"""The water model that ships: weights, model card and the scripts that made them."""
