"""The commands, one file each: a command checks its options and calls the stages in order.

Only this folder imports the packages planner, trainer and inference. It imports them inside functions, so that
`autoseg --help` stays quick.
"""
