"""Results of a study: tables, statistical tests, charts and one page on all cells, over the same cases.

A cell is one configuration of the study: a set of sequences and an input dimension (2d, 2.5d, 3d, …).
"""
