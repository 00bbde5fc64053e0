"""Functions that look at their callers' frames find the frames that they would have found."""

import inspect
import logging
import sys
import warnings

import pytest
from tests.specialize.support import Same, World, jit_of


def names(depth):
    """Names of `depth` frames, the caller's first."""
    frame, found = sys._getframe(1), []
    for _ in range(depth):
        found.append(frame.f_code.co_name)
        frame = frame.f_back
    return found


def wrapped(call, name):
    """`call` behind a function with a name of its own."""
    made = {}
    exec(f"def {name}(x):\n    return call(x)", {"call": call}, made)
    return made[name]


def nest(call, *names):
    for name in names:
        call = wrapped(call, name)
    return call


LOOKERS = {
    "a function that looks": lambda x: names(x),
    "by the callers of a helper": lambda x: (lambda: names(x))(),
}


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", LOOKERS)
def test_all_callers_are_there(kind, depth):
    same = Same(lambda: (nest(LOOKERS[kind], "inner", "middle", "outer"), None))
    assert same.check(depth)[0] == "returned"


def test_what_does_not_lead_to_it_is_inlined():
    def make():
        looking = nest(names, "looking", "above")
        plain = nest(lambda x: x + 1, "plain")

        def both(x):
            return looking(x), plain(x)

        return both, None

    same = Same(make)
    same.check(3)
    report = same.jit.explain(same.fast).to_dict()
    inlined = [child["name"] for child in report["inlined"][0]["children"]]
    assert "plain" in inlined and "above" not in inlined
    assert [call["reason"] for call in report["residual"]] == ["looks-at-frames"]


def test_a_method_and_a_property_that_look():
    class Rule:
        def __init__(self, name):
            self.name = name

        def __call__(self, depth):
            return self.look(depth), self.seen

        def look(self, depth):
            return names(depth)

        @property
        def seen(self):
            return names(2)

    def make():
        rule = Rule("rule")

        def inner(depth):
            return rule(depth)

        def outer(depth):
            return inner(depth)

        return outer, None

    Same(make).check(4)


@pytest.mark.parametrize("look", [sys._getframe, inspect.currentframe], ids=["getframe", "currentframe"])
def test_under_another_name(look):
    def make():
        probe = look

        def inner(x):
            return probe().f_code.co_name

        def outer(x):
            return inner(x)

        return outer, None

    Same(make).check(0)


def test_locals_under_another_name():
    def make():
        probe = locals

        def inner(x):
            y = x + 1
            return probe()["y"], y

        def outer(x):
            return inner(x)

        return outer, None

    Same(make).check(1)


def test_the_root_that_uses_locals_under_another_name_is_left_alone():
    probe = locals
    fast = jit_of().speedup(lambda x: probe(), eager=True)
    assert fast(3)["x"] == 3


def test_in_a_generator_expression():
    def make():
        def inner(x):
            return any(names(x) == [] for _ in range(2)), list(names(x) for _ in range(1))

        def outer(x):
            return inner(x)

        return outer, None

    Same(make).check(3)


def test_warnings_name_the_line_that_they_are_meant_for():
    def deprecated(level):
        warnings.warn("old", DeprecationWarning, stacklevel=level)

    def make():
        world = World()

        def inner(level):
            return deprecated(level)

        def outer(level):
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                inner(level)
            world.log += [(str(w.message), w.filename, w.lineno) for w in seen]

        return outer, world

    same = Same(make)
    for level in (1, 2, 3):
        same.check(level)


def test_what_uses_only_its_own_frame_does_not_keep_its_callers():
    def own(x):
        y = x
        return sorted(locals())

    same = Same(lambda: (nest(own, "inner", "outer"), None))
    same.check(1)
    report = same.jit.explain(same.fast).to_dict()
    assert [child["name"] for child in report["inlined"][0]["children"]] == ["inner"]


def test_logging_finds_the_line_of_its_call():
    """And the outermost function: the limits page says so."""
    logger, seen = logging.Logger("test"), []

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append((record.funcName, record.lineno, record.filename))

    logger.addHandler(Handler())

    def inner(x):
        logger.warning("x is %s", x)

    def outer(x):
        inner(x)

    outer(1)
    jit_of().speedup(outer, eager=True, strict=True)(1)
    (plain_name, *plain), (name, *fast) = seen
    assert (plain_name, name) == ("inner", "outer") and plain == fast


def test_an_opaque_callee_sees_the_outermost_function():
    """The limits page says so: logging is not looked into."""
    logger = logging.Logger("test")
    seen = []

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append(record.funcName)

    logger.addHandler(Handler())
    log = type("Opaque", (), {"__call__": staticmethod(logger.warning)})()

    def inner(x):
        log("hello")

    def outer(x):
        inner(x)

    outer(1)
    jit_of().speedup(outer, eager=True, strict=True)(1)
    assert seen == ["inner", "outer"]
