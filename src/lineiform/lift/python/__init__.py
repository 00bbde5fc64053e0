"""CPython bytecode to IR: ``lift(code)``.

One code object at a time, without context: what a call leads to and what a name means is for later stages.
"""

from .lifter import is_generator_expression, lift, lift_generator_expression

__all__ = ["is_generator_expression", "lift", "lift_generator_expression"]
