"""Rows of the comparison with nnU-Net v2, each a script that can be read and run alone."""
