"""The commands of ``halfkick``: options in, one call, results printed."""
