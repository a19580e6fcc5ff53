"""What a file system promises and what it does not: processes that end, errors that pass, places that are taken."""
