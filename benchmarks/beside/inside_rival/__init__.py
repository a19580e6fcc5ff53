"""Scripts that run in nnU-Net's own environment. They import nothing of autoseg, and each writes one JSON file."""
