"""A short run of the fuzzer with a fixed seed, and tests of the fuzzer itself."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from . import candidates, engine, faults, report
from .choices import Choices, DrawnChoices
from .generate import Program, generate
from .matrix import FEATURES, Matrix
from .observe import compile_program, observe, quiet_collector

SEED = 20_240


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Programs whose choices Hypothesis draws, and therefore shrinks."""
    return generate(DrawnChoices(lambda bound: draw(st.integers(0, bound - 1))))


def run_short(mode: str, count: int) -> None:
    candidate = candidates.make(mode, "bytecode")
    found: list[engine.Mismatch] = []

    def stop(mismatch: engine.Mismatch) -> bool:
        found.append(mismatch)
        return False

    print(f"seed {SEED}, mode {mode}")
    engine.run(candidate, seed=SEED, programs=count, found=stop)
    if found:
        with quiet_collector():
            small = report.shrunk(found[0], candidate, seconds=10.0)
        pytest.fail(report.show(small, mode))


def test_the_same_program_behaves_the_same_twice() -> None:
    run_short("identity", 80)


def test_functions_lifted_and_lowered_behave_the_same() -> None:
    run_short("roundtrip", 60)


def test_functions_run_by_the_reference_interpreter_behave_the_same() -> None:
    run_short("reference", 60)


def test_roots_that_are_sped_up_behave_the_same() -> None:
    run_short("specialize", 25)


@settings(max_examples=15, database=None, derandomize=True, deadline=None,
          phases=[Phase.generate, Phase.shrink],
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large,
                                 HealthCheck.large_base_example])  # fmt: skip
@given(programs())
def test_programs_drawn_by_hypothesis_behave_the_same(program: Program) -> None:
    with quiet_collector():
        assert engine.check(program.source, candidates.make("identity", "bytecode")) is None


def test_a_seed_gives_the_same_program_again() -> None:
    assert [generate(Choices(n)).source for n in range(20)] == [generate(Choices(n)).source for n in range(20)]


def test_every_program_compiles_and_only_known_features_are_counted() -> None:
    matrix = Matrix()
    for number in range(300):
        program = generate(Choices(number))
        matrix.add(program, compile_program(program.source))
    assert set(matrix.features) <= set(FEATURES)


@pytest.mark.parametrize("name", ["swap_operands", "chain_loses_its_end", "delete_dropped", "cause_lost",
                                  "line_off_by_one", "stale_cell", "exception_variable_kept"])  # fmt: skip
def test_a_planted_fault_is_found(name: str) -> None:
    with quiet_collector():
        at, _ = faults.search(faults.FAULTS[name], SEED, 400)
    assert at is not None


def test_a_mismatch_is_made_small() -> None:
    candidate = faults.Faulty(faults.FAULTS["swap_operands"])
    source = None
    with quiet_collector():
        for number in range(300):
            source = generate(Choices(number)).source
            mismatch = engine.check(source, candidate)
            if mismatch is not None:
                break
        assert mismatch is not None
        small = report.shrunk(mismatch, candidate, seconds=10.0)
    assert small.source.count("\n") < mismatch.source.count("\n") / 2
    assert engine.check(small.source, candidate) is not None


def test_observations_tell_apart_what_equality_does_not() -> None:
    def seen(text: str) -> object:
        source = f"root = lambda x: {text}\nSTEPS = [('call', '1')]\n"
        with quiet_collector():
            return observe(compile_program(source))

    for one, other in [("0.0", "-0.0"), ("1", "True"), ("1", "1.0"), ("(1,)", "[1]"), ("'a'", "b'a'")]:
        assert seen(one) != seen(other)
    assert seen("(lambda v: [v, v])([])") != seen("[[], []]")
    assert seen("float('nan')") == seen("float('nan')")
