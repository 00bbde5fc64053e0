"""The partial evaluator: from the IR of a callable and of what it reaches to one specialised function.

Relies on ``assumptions`` for every read of the user's objects and on ``lift`` for the functions it inlines.
"""
