"""Units of work: what a RUN has to do, what each takes, what each waits for, and how far each is."""
