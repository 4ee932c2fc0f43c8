"""A properties file as i-PI writes it."""

HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> time{femtosecond} : The elapsed simulation time.
# column   3     --> conserved : The value of the conserved energy quantity.
# cols.    4-5   --> cell_abcABC : Two numbers of one property.
# column   6     --> temperature{kelvin} : The current temperature.
"""

ROWS = ["  0  0.0  1.0  7 7  300\n", "  2  4.0  1.5  7 7  310\n", "  4  8.0  2.0  7 7  290\n"]
