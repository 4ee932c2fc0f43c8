"""What runs tell: energies, temperatures, structure, motion, each with its error; a report."""
