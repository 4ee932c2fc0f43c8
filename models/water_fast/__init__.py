"""A small student of SO3LR for liquid water that ships: direct forces only, for inside of MTS."""
