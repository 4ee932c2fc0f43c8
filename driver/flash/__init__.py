"""FlashMD in i-PI: a network in the place of the integrator."""
