"""Everything that makes an evaluation happen."""
