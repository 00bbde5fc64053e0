"""Where the generator's choices come from: a seeded random source, or Hypothesis.

The generator asks for small integers only; choice 0 is always the simplest, so a source that can shrink
(Hypothesis) shrinks programs by shrinking the numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

Element = TypeVar("Element")


class Choices:
    """A source of choices drawn from a seed; subclasses replace `below`."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed).random

    def below(self, bound: int) -> int:
        """Return an integer in range(bound)."""
        return int(self._draw() * bound)

    def pick(self, options: Sequence[Element]) -> Element:
        """Return one of the options; the first is the simplest."""
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        """Return True in about `percent` of a hundred cases; choice 0 is False."""
        return self.below(100) >= 100 - percent


class DrawnChoices(Choices):
    """Choices that come from a function `draw(bound)`, for example Hypothesis' draw."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw_below = draw

    def below(self, bound: int) -> int:
        return self._draw_below(bound)


def weighted(*rows: tuple[int, Element]) -> tuple[Element, ...]:
    """Spread (weight, element) rows into a flat table that `pick` draws from."""
    return tuple(element for weight, element in rows for _ in range(weight))
