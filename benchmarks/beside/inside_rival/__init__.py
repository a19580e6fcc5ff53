"""Scripts that run in nnU-Net's own environment: they import nothing of autoseg, and answer with one JSON file."""
