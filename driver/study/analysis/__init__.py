"""Analysis of runs: energies, temperatures, structure and motion with their errors; a report."""
