"""What becomes of a time budget: on a quiet machine, beside other programs, killed and gone on with."""
