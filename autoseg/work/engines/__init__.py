"""Engines that place units of work on machines: each starts `autoseg work RUN UNIT`, and looks at its exit status."""
