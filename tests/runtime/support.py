"""A compiler for the tests of the runtime: it makes units that do what the original does."""

import types
import weakref

from lineiform import Budget, Lineiform, NotCompiled
from lineiform.tiers.unit import Unit


class Assumptions:
    """Assumptions that a test can break."""

    def __init__(self):
        self.callbacks = []
        self.failed = []
        self.revalidated = 0

    def revalidate(self):
        self.revalidated += 1
        return self.failed

    def subscribe(self, callback):
        self.callbacks.append(callback)

    def describe(self):
        return [{"kind": "cell", "what": "step", "how": "notified"}]

    def suspect(self):
        for callback in self.callbacks:
            callback()

    def break_one(self, what="global step"):
        for callback in self.callbacks:
            callback(what)


def copy_of(target):
    """A Python function that does what a call of `target` does."""
    if type(target) is types.FunctionType:
        function = types.FunctionType(target.__code__, target.__globals__, target.__name__,
                                      target.__defaults__, target.__closure__)
        function.__kwdefaults__ = target.__kwdefaults__
        return function

    def unit(*args, **kwargs):
        return target(*args, **kwargs)

    return unit


class Compiler:
    """Counts compilations; `make` gives the function of the unit, `refuse` a reason code."""

    def __init__(self, make=copy_of, refuse=None, report=None, raises=None):
        self.make, self.refuse, self.report, self.raises = make, refuse, report, raises
        self.compiled = 0
        self.options = []
        self._units = []

    def compile_callable(self, target, *, options):
        self.compiled += 1
        self.options.append(options)
        if self.raises:
            raise self.raises
        if self.refuse:
            raise NotCompiled(self.refuse, "because", position="m.py:1 in f")
        unit = Unit(self.make(target), Assumptions(), dict(self.report or {}))
        self._units.append(weakref.ref(unit))
        return unit

    @property
    def units(self):
        """The units that live, oldest first; the compiler keeps nothing alive."""
        return [unit for unit in (reference() for reference in self._units) if unit is not None]


def make_jit(compiler=None, *, threshold=3, background=False, measured_calls=0, clock=None, **options):
    """A Lineiform with a test compiler (`jit.compiler`) that compiles in the calling thread."""
    limits = options.pop("limits", {})
    jit = Lineiform(threshold=threshold, background=background,
                    budget=Budget(measured_calls=measured_calls, **limits), **options)
    jit.compiler = compiler or Compiler()
    jit._service.use(compiler=jit.compiler, clock=clock)
    return jit
