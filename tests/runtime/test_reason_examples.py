"""The example of each reason code provokes it."""

import pytest

import lineiform
from lineiform import Lineiform, public
from lineiform.reasons import REASONS

MOMENTARY = {"pending"}  # over when the background worker is done, perhaps before anybody can look
RUNNABLE = sorted(code for code, row in REASONS.items()
                  if not row.example.startswith("#") and code not in MOMENTARY)


def reasons_met(instances):
    """Every reason code in the logs and in the reports of living callables."""
    met = set()
    for jit in instances:
        jit.wait(60)
        met.update(event.facts.get("reason") for event in jit.events)
        for tier in jit.tiers():
            met.add(tier.reason)
            for call in (tier.unit.report.get("residual") or ()) if tier.unit else ():
                met.add(call["reason"])
    return met


@pytest.mark.parametrize("code", RUNNABLE)
def test_the_example_provokes_the_reason(code, monkeypatch):
    made, kept, printed = [], [], []

    class Recorded(Lineiform):
        def __init__(self, **options):
            super().__init__(**options)
            made.append(self)

        def speedup(self, f, **options):
            kept.append(super().speedup(f, **options))
            return kept[-1]

    monkeypatch.setattr(lineiform, "Lineiform", Recorded)
    monkeypatch.setattr(public, "Lineiform", Recorded)
    monkeypatch.setattr(public, "_default", None)
    namespace = {"lineiform": lineiform, "print": lambda text: printed.append(str(text))}
    exec(compile(REASONS[code].example, f"<example of {code}>", "exec"), namespace)
    met = reasons_met(made)
    assert code in met or f"[{code}]" in "".join(printed), met
