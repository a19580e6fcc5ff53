"""What lies on a disk and what a file system promises: bounds, checksums, errors that pass, processes that end."""
