"""The results of a study: every cell over the same cases, as tables, tests, charts and one page."""
