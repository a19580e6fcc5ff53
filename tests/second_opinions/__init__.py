"""Programs that ask another library for what autoseg computes; each runs in an environment of its own."""
