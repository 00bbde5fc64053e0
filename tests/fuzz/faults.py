"""Planted faults: a table of small wrong compilers, and the campaign that finds out whether each is found.

A fault rewrites the syntax tree of a program the way a mistake in a compiler would change its meaning: an
operand swapped, a deletion lost, an assumption that is not noticed when it breaks.  The fuzzer compares the
program as written with the program as rewritten; a fault that no program within the bound tells from
CPython means that the generator or the observer is blind there.
"""

from __future__ import annotations

import ast
import time
import types
from collections import Counter
from dataclasses import dataclass
from typing import Any

from . import engine, plants
from .candidates import Candidate
from .choices import Choices
from .generate import generate
from .observe import compile_program, quiet_collector
from .plants import Rewrite


@dataclass(frozen=True)
class Fault:
    """One planted fault: where it would sit in the compiler, what goes wrong, and how it is applied.

    `rewrite(node)` gets each node of the tree after its children, and returns the node to put there (or a
    list of statements, or the node itself unchanged).
    """

    name: str
    room: str
    description: str
    rewrite: Rewrite


class _Planter(ast.NodeTransformer):
    def __init__(self, fault: Fault) -> None:
        self._rewrite = fault.rewrite
        self.planted = 0

    def visit(self, node: ast.AST) -> Any:
        node = super().generic_visit(node)
        result = self._rewrite(node)
        if result is None or result is node:
            return node
        self.planted += 1
        for new in result if isinstance(result, list) else [result]:
            if hasattr(node, "lineno"):
                ast.copy_location(new, node)
                if not hasattr(new, "end_lineno"):
                    new.end_lineno = new.lineno
        return result


class Faulty(Candidate):
    """A candidate with a planted fault."""

    name = "faulty"

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault

    def prepare(self, source: str, code: types.CodeType) -> types.CodeType:
        tree = ast.parse(source)
        planter = _Planter(self.fault)
        planter.visit(tree)
        if not planter.planted:
            return code
        self.counts["programs with the fault"] += 1
        try:
            return compile_program(ast.fix_missing_locations(tree))
        except (SyntaxError, ValueError):
            return code  # this place cannot carry the fault


TABLE = (
    ("swap_operands", "lower", "operands of a subtraction are swapped", plants.swap_operands),
    ("swap_evaluation", "lower", "the right operand is evaluated first", plants.swap_evaluation),
    (
        "arguments_from_the_right",
        "lower",
        "arguments are evaluated right to left",
        plants.arguments_from_the_right,
    ),
    ("keywords_reversed", "lower", "keyword arguments are passed in reverse order", plants.keywords_reversed),
    (
        "chain_loses_its_end",
        "lift",
        "a comparison chain ends one comparison early",
        plants.chain_loses_its_end,
    ),
    (
        "chain_without_short_cut",
        "lift",
        "a chain goes on after a false comparison",
        plants.chain_without_short_cut,
    ),
    (
        "chain_middle_twice",
        "lift",
        "the middle of a chain is evaluated twice",
        plants.chain_evaluates_the_middle_twice,
    ),
    (
        "short_cut_gives_bool",
        "optimize",
        "and/or give a bool instead of the operand",
        plants.short_cut_gives_bool,
    ),
    ("short_cut_lost", "optimize", "and/or evaluate the right side always", plants.short_cut_lost),
    ("truth_asked_twice", "optimize", "the truth of a condition is asked twice", plants.truth_asked_twice),
    (
        "conditional_evaluates_both",
        "optimize",
        "a conditional expression evaluates both",
        plants.conditional_evaluates_both,
    ),
    ("delete_dropped", "optimize", "deleting a local is dropped as dead", plants.delete_dropped),
    (
        "delete_keeps_the_object",
        "lower",
        "del unbinds the name but keeps the object",
        plants.delete_keeps_the_object,
    ),
    (
        "rebinding_keeps_the_object",
        "lower",
        "an SSA copy outlives a rebinding",
        plants.rebinding_keeps_the_object,
    ),
    ("local_dies_early", "optimize", "a local is released after its last use", plants.local_dies_early),
    ("context_lost", "exits", "__context__ is not set", plants.context_lost),
    ("cause_lost", "lower", "raise … from loses its cause", plants.cause_lost),
    ("suppression_lost", "lower", "from None does not suppress the context", plants.suppression_lost),
    ("bare_raise_as_raise", "lower", "a bare raise adds to the traceback", plants.bare_raise_as_raise),
    (
        "exception_variable_kept",
        "lower",
        "the exception variable outlives its handler",
        plants.exception_variable_kept,
    ),
    (
        "handler_state_kept",
        "lower",
        "the handled exception stays current after a handler",
        plants.handler_state_kept,
    ),
    ("else_inside_try", "lift", "the else of a try is protected by its handlers", plants.else_inside_try),
    (
        "finally_skipped",
        "lift",
        "finally runs only when there is an exception",
        plants.finally_skipped_without_exception,
    ),
    ("return_in_finally_lost", "lift", "a return in finally does not return", plants.return_in_finally_lost),
    ("handlers_in_wrong_order", "lift", "handlers are tried last to first", plants.handlers_in_wrong_order),
    (
        "with_hides_the_exception",
        "lift",
        "__exit__ is not told the exception",
        plants.with_hides_the_exception,
    ),
    ("managers_in_wrong_order", "lift", "managers are entered last to first", plants.managers_in_wrong_order),
    ("loop_else_after_break", "lift", "the else of a loop runs after break", plants.loop_else_after_break),
    ("loop_else_lost", "lift", "the else of a loop is unreachable", plants.loop_else_lost),
    ("iterable_copied", "specialize", "a loop's iterable is copied before unrolling", plants.iterable_copied),
    (
        "quantifier_without_short_cut",
        "specialize",
        "any/all/next exhaust the generator",
        plants.quantifier_without_short_cut,
    ),
    ("sum_from_the_right", "specialize", "a sum is taken in reverse order", plants.sum_from_the_right),
    (
        "comprehension_condition_lost",
        "lift",
        "conditions of comprehensions are lost",
        plants.comprehension_condition_lost,
    ),
    (
        "comprehension_variable_leaks",
        "lift",
        "an inlined comprehension leaks its variable",
        plants.comprehension_variable_leaks,
    ),
    ("cell_by_value", "specialize", "a closure keeps the value, not the cell", plants.cell_by_value),
    ("default_lost", "specialize", "defaults are taken as 0", plants.default_evaluated_at_the_call),
    ("nonlocal_store_lost", "specialize", "a store to a cell stays local", plants.nonlocal_store_lost),
    ("global_store_lost", "specialize", "a store to a global stays local", plants.global_store_lost),
    ("in_place_as_binary", "optimize", "in-place operators make new objects", plants.in_place_as_binary),
    (
        "augmented_target_twice",
        "lift",
        "the target of += is evaluated twice",
        plants.augmented_target_evaluated_twice,
    ),
    (
        "unpacking_without_count",
        "optimize",
        "unpacking does not check for too many",
        plants.unpacking_without_count,
    ),
    ("star_gives_a_tuple", "optimize", "a starred target gets a tuple", plants.star_gives_a_tuple),
    ("chained_store_lost", "optimize", "a = b = x stores once", plants.stores_from_the_right),
    ("slice_loses_its_step", "lower", "the step of a slice is ignored", plants.slice_loses_its_step),
    ("conversion_lost", "lower", "!r in f-strings is ignored", plants.conversion_lost),
    ("format_spec_lost", "lower", "format specs are ignored", plants.format_spec_lost),
    ("identity_as_equality", "optimize", "is becomes ==", plants.identity_as_equality),
    ("isinstance_is_exact", "specialize", "isinstance ignores subclasses", plants.isinstance_is_exact),
    ("assert_dropped", "lift", "assertions are dropped", plants.assert_dropped),
    ("negative_zero_folded", "optimize", "-0.0 is folded to 0.0", plants.negative_zero_folded),
    ("bool_as_int", "optimize", "True and 1 are merged into one constant", plants.bool_as_int),
    ("big_constant_cut", "lower", "constants are cut to 63 bits", plants.big_constant_cut),
    ("line_off_by_one", "lower", "line numbers of some operations are off by one", plants.line_off_by_one),
    ("guard_of_match_ignored", "lift", "guards of case blocks are ignored", plants.guard_of_match_ignored),
    ("mapping_rest_keeps_keys", "lift", "**rest holds the matched keys", plants.mapping_rest_keeps_keys),
    (
        "sequence_takes_longer",
        "lift",
        "sequence patterns match longer ones",
        plants.sequence_pattern_takes_longer_ones,
    ),
    ("rest_of_group_lost", "lower", "what except* leaves over is dropped", plants.rest_of_the_group_lost),
    (
        "display_order_reversed",
        "lower",
        "elements of displays are evaluated in reverse",
        plants.display_order_reversed,
    ),
    ("super_skips_a_class", "specialize", "super() finds the class itself", plants.super_skips_a_class),
    (
        "stale_global",
        "assumptions",
        "a rebound global is not noticed",
        plants.lost_step("G1 =", "G2 =", "G3 =", "G4 =", "G5 ="),
    ),
    ("stale_cell", "assumptions", "a rebound cell is not noticed", plants.lost_step("SETTERS[")),
    ("stale_element", "assumptions", "a changed list or dict is not noticed", plants.lost_step("G3", "G4")),
    (
        "stale_method",
        "assumptions",
        "a replaced method is not noticed",
        plants.lost_step(".apply =", ".__call__ ="),
    ),
    (
        "stale_class_attribute",
        "assumptions",
        "a changed class attribute is not noticed",
        plants.lost_step(".level ="),
    ),
    (
        "stale_instance",
        "assumptions",
        "a changed instance attribute is not noticed",
        plants.lost_step(".kept", ".child ="),
    ),
    ("stale_code", "assumptions", "a replaced __code__ is not noticed", plants.lost_step("__code__ =")),
    (
        "stale_defaults",
        "assumptions",
        "replaced __defaults__ are not noticed",
        plants.lost_step("defaults__ ="),
    ),
    ("stale_builtin", "assumptions", "a shadowed builtin is not noticed", plants.lost_step("globals()[")),
    (
        "stale_partial",
        "assumptions",
        "a partial's changed keywords are not noticed",
        plants.lost_step(".keywords["),
    ),
)
FAULTS = {row[0]: Fault(*row) for row in TABLE}


def search(fault: Fault, seed: int, programs: int) -> tuple[int | None, int]:
    """Return the number of the first program that shows the fault, if any, and how many carried it."""
    candidate = Faulty(fault)
    for number in range(programs):
        source = generate(Choices(engine.program_seed(seed, number))).source
        if engine.check(source, candidate) is not None:
            return number + 1, candidate.counts["programs with the fault"]
    return None, candidate.counts["programs with the fault"]


def campaign(seed: int, programs: int, only: str | None = None) -> dict[str, Any]:
    """Look for every fault; print one line for each; return the counts."""
    faults = [FAULTS[only]] if only else list(FAULTS.values())
    missed: list[str] = []
    counts: Counter[str] = Counter()
    begin = time.perf_counter()
    with quiet_collector():
        for fault in faults:
            at, carried = search(fault, seed, programs)
            verdict = f"found by program {at}" if at else f"NOT FOUND in {programs} programs, {carried} carried it"
            print(f"{fault.name:32} {fault.room:12} {verdict:45} {fault.description}", flush=True)
            counts["faults found" if at else "faults not found"] += 1
            counts["programs run"] += at or programs
            if not at:
                missed.append(fault.name)
    print(f"{counts['faults found']} of {len(faults)} faults found in {time.perf_counter() - begin:.0f} s")
    return {"programs": counts.pop("programs run"), "counts": counts, "failures": len(missed)}
