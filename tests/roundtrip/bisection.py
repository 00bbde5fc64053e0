"""Finds the single code object whose transformation makes a test module differ.

Decides by running the test module again and again with the transform restricted to a part of the code objects
that it covered.  Relies on the failure being repeatable; when a difference needs several code objects
together, the smallest set that was reached is printed instead.  Never changes any file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .running import Outcome, Request, run

Fails = Callable[[list[str]], bool]


def narrow(names: list[str], fails: Fails) -> list[str]:
    """A subset of `names` that still fails and of which neither half nor any single removal does.

    The delta debugging algorithm of Zeller and Hildebrandt ("Simplifying and Isolating Failure-Inducing
    Input", 2002): for one culprit a binary search, for several a small set.
    """
    parts = 2
    while len(names) > 1:
        size = max(1, len(names) // parts)
        chunks = [names[start : start + size] for start in range(0, len(names), size)]
        culprit = next((chunk for chunk in chunks if fails(chunk)), None)
        if culprit is not None:
            names, parts = culprit, 2
            continue
        rests = [[name for name in names if name not in chunk] for chunk in chunks] if len(chunks) > 2 else []
        smaller = next((rest for rest in rests if fails(rest)), None)
        if smaller is not None:
            names, parts = smaller, max(parts - 1, 2)
        elif size == 1:
            return names
        else:
            parts = min(len(names), parts * 2)
    return names


def bisect(request: Request, wanted: str) -> int:
    """Print the code object at fault for `request`, or for its test whose id contains `wanted`."""
    baseline = run(replace(request, transform=None))
    whole = run(request)

    def differs(outcome: Outcome) -> set[str]:
        new = outcome.failing - baseline.failing
        if outcome.ending != baseline.ending:
            new.add(f"{outcome.last} ({outcome.ending})")
        return {test for test in new if wanted in test}

    found = differs(whole)
    if not found:
        print(f"nothing differs in {wanted}")
        return 0
    print(f"{len(found)} differ, among them {min(found)}")
    alone = replace(request, pick=(min(found),))
    if differs(run(alone)):
        request = alone
    names = sorted(whole.report["done"]) if whole.report else covered(request)
    count = 0

    def fails(subset: list[str]) -> bool:
        nonlocal count
        count += 1
        result = bool(differs(run(replace(request, only=tuple(subset)))))
        print(f"run {count}: {len(subset)} code objects: {'differs' if result else 'same'}", flush=True)
        return result

    if not fails(names):
        print("The difference is not repeated with the same code objects; it may depend on order or time.")
        return 1
    culprits = narrow(names, fails)
    print("at fault:" if len(culprits) == 1 else "at fault together:")
    for name in culprits:
        print(f"    {name}")
    return 1


def covered(request: Request) -> list[str]:
    """The names of all code objects of the modules under test, for a child that died before its report."""
    from .standins import identity
    from .transforming import Installation, Transformer

    transformer = Transformer(identity)
    Installation(request.modules, transformer)
    return sorted(transformer.record.done)
