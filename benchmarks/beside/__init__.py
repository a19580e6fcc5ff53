"""Rows of the comparison with nnU-Net v2, which `python -m benchmarks` measures; one module for each row."""
