"""What autoseg does on a GPU: right, fast, within its memory; in parts that each end within their own time."""
