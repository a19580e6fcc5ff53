"""Engines: what places units of work on machines, queues them and tries them again."""
