"""What a command did to files, without its help: `proml run` finds out from outside.

Python programs report what they open, by a module that the environment brings into them
(:mod:`~proml.capture.observed.injecting`); folders can be watched whatever program writes into them
(:mod:`~proml.capture.observed.watching`). What belongs to the machine and not to the work is filtered out
(:mod:`~proml.capture.observed.filtering`); the rest is hashed within limits and becomes facts of the run
(:mod:`~proml.capture.observed.describing`). All of it is best effort: it never fails or slows down the command.
"""
