"""The entry object is a drop-in replacement: names, signature, binding, operators, lifetime, frames."""

import collections.abc
import copy
import functools
import gc
import inspect
import operator
import pickle
import sys
import traceback
import types
import weakref

import pytest

import lineiform
from lineiform.tiers.entry import is_entry

from .support import make_jit


@pytest.fixture(params=["counting", "installed", "measuring", "not compiled"])
def jit(request):
    """Entries in each of their states: the state is reached with the first call of `ready`."""
    from .support import Compiler

    options = {"counting": {"threshold": 10**6}, "installed": {"threshold": 0},
               "measuring": {"threshold": 0, "measured_calls": 10**6},
               "not compiled": {"threshold": 0, "compiler": Compiler(refuse="recursive")}}[request.param]
    return make_jit(options.pop("compiler", None), **options)


def plain(a, b=2, /, c: int = 3, *rest, d=4, **more) -> tuple:
    """The documentation."""
    return a, b, c, rest, d, more


def ready(fast, *arguments, **keywords):
    """Call until the state that the fixture wants is reached."""
    for _ in range(3):
        fast(*arguments, **keywords)
    return fast


@lineiform.speedup
def decorated(x):
    return x


class Query:
    """A hostile callable: every attribute exists, and operators combine."""

    def __init__(self, test, name="query"):
        object.__setattr__(self, "test", test)
        object.__setattr__(self, "label", name)

    def __call__(self, value):
        return self.test(value)

    def __getattr__(self, name):
        if name.startswith("__") and name != "__wrapped__":
            raise AttributeError(name)
        return Query(lambda value: getattr(value, name), name)

    def __and__(self, other):
        assert isinstance(other, Query)
        return Query(lambda value: self.test(value) and other.test(value), "and")

    def __rand__(self, other):
        return ("rand", other)

    def __invert__(self):
        return Query(lambda value: not self.test(value), "not")

    def __iadd__(self, other):
        return self

    def __eq__(self, other):
        return isinstance(other, Query) and self.label == other.label

    def __hash__(self):
        return hash(self.label)

    def __len__(self):
        return 0

    def __getitem__(self, key):
        return (self.label, key)

    def __contains__(self, item):
        return item == self.label

    def __iter__(self):
        return iter((1, 2))

    def __enter__(self):
        return "entered"

    def __exit__(self, *exc):
        return True

    def __repr__(self):
        return f"Query({self.label})"


def test_names_and_documentation(jit):
    fast = ready(jit.speedup(plain), 1)
    assert is_entry(fast)
    for name in functools.WRAPPER_ASSIGNMENTS:
        if hasattr(plain, name):
            assert getattr(fast, name) == getattr(plain, name), name
    assert fast.__wrapped__ is plain and fast.__dict__ is plain.__dict__
    assert fast.__code__ is plain.__code__ and fast.__defaults__ == plain.__defaults__
    assert inspect.signature(fast) == inspect.signature(plain)
    assert inspect.getsource(fast) == inspect.getsource(plain)
    assert inspect.unwrap(fast) is plain
    assert inspect.getdoc(fast) == "The documentation."
    assert "plain" in repr(fast)
    assert callable(fast) and isinstance(fast, collections.abc.Callable)


def test_predicates(jit):
    fast = ready(jit.speedup(plain), 1)
    assert inspect.isfunction(fast) and isinstance(fast, types.FunctionType)
    assert not inspect.iscoroutinefunction(fast) and not inspect.isgeneratorfunction(fast)
    assert not inspect.isasyncgenfunction(fast) and not inspect.isclass(fast)


@pytest.mark.parametrize("arguments,keywords", [
    ((1,), {}), ((1, 5), {"d": 9}), ((1, 2, 3, 4, 5), {"x": 1}), ((1,), {"c": 8, "e": 1})])
def test_arguments(jit, arguments, keywords):
    fast = ready(jit.speedup(plain), 1)
    assert fast(*arguments, **keywords) == plain(*arguments, **keywords)


@pytest.mark.parametrize("arguments,keywords", [((), {}), ((1,), {"a": 1, "b": 2}), ((1,), {"c": 1, "d": 2})])
def test_wrong_arguments_raise_the_same(jit, arguments, keywords):
    def f(a, b, *, c):
        return a

    fast = jit.speedup(f)
    for _ in range(4):
        with pytest.raises(TypeError) as ours:
            fast(*arguments, **keywords)
        with pytest.raises(TypeError) as theirs:
            f(*arguments, **keywords)
        assert ours.value.args[0].split("()")[-1] == theirs.value.args[0].split("()")[-1]


def test_attribute_writes_go_to_the_original(jit):
    def f():
        return f.count

    fast = jit.speedup(f)
    fast.count = 3
    assert f.count == 3 and fast() == 3 and "count" in dir(fast)
    del fast.count
    with pytest.raises(AttributeError, match="count"):
        fast.count  # noqa: B018
    fast.__doc__ = "new"
    assert f.__doc__ == "new"


def test_binds_as_a_method_when_the_original_does(jit):
    class Thing:
        @jit.speedup
        def method(self, x, *, y=1):
            return self, x, y

        @property
        @jit.speedup
        def prop(self):
            return self

        @classmethod
        @jit.speedup
        def klass(cls):
            return cls

        @staticmethod
        @jit.speedup
        def static(x):
            return x

        query = jit.speedup(Query(lambda value: value))
        partial = jit.speedup(functools.partial(lambda *a: a, 1))

    thing = Thing()
    for _ in range(5):
        assert thing.method(2, y=3) == (thing, 2, 3)
        assert Thing.method(thing, 2) == (thing, 2, 1)
        assert thing.prop is thing and Thing.klass() is Thing and thing.static(4) == 4
        assert thing.query(7) == 7
        if sys.version_info < (3, 14):
            assert thing.partial(2) == (1, 2)
    bound = thing.method
    assert bound.__self__ is thing and bound(5) == (thing, 5, 1) and inspect.ismethod(bound)
    assert str(inspect.signature(bound)) == "(x, *, y=1)"


def test_bound_methods(jit):
    class Thing:
        def method(self, x):
            return self, x

    thing = Thing()
    fast = ready(jit.speedup(thing.method), 1)
    assert fast(2) == (thing, 2)
    assert jit.speedup(thing.method) is fast and jit.speedup(Thing().method) is not fast
    assert fast == thing.method and hash(fast) == hash(thing.method)
    assert fast.__self__ is thing and str(inspect.signature(fast)) == "(x)"
    assert inspect.ismethod(fast)


def test_partials(jit):
    base = functools.partial(plain, 1, d=7)
    fast = ready(jit.speedup(base))
    assert fast(5) == base(5) and fast.func is plain and fast.args == (1,) and fast.keywords == {"d": 7}
    assert inspect.signature(fast) == inspect.signature(base)
    assert functools.partial(fast, 9)(8) == functools.partial(base, 9)(8)


def test_a_partial_of_an_entry_calls_the_entry(jit):
    fast = jit.speedup(plain)
    outer = functools.partial(fast, 1)
    assert outer.func is fast
    for _ in range(5):
        assert outer(2) == plain(1, 2)


def test_operators_are_those_of_the_original(jit):
    query = Query(lambda value: value > 1, "big")
    other = Query(lambda value: value < 9, "small")
    fast, fast_other = ready(jit.speedup(query), 1), jit.speedup(other)
    for both in (fast & fast_other, fast & other, query & fast_other):
        assert type(both) is Query and both(5) and not both(0)
    assert (~fast)(0) and not fast and len(fast) == 0 and list(fast) == [1, 2]
    assert fast[3] == ("big", 3) and "big" in fast and "small" not in fast
    with fast as entered:
        assert entered == "entered"
        raise ValueError
    same = fast
    same += 1
    assert same is fast
    assert 5 & fast == ("rand", 5)
    for undefined in (operator.or_, operator.add, operator.lt):
        with pytest.raises(TypeError):
            undefined(fast, fast)
    assert repr(fast) == "Query(big)" and isinstance(fast, Query)
    assert fast.path.label == "path"


def test_compares_and_hashes_as_the_original(jit):
    query = Query(lambda value: value, "a")
    fast = jit.speedup(query)
    assert fast == query and query != Query(None, "b") and fast != Query(None, "b")
    assert fast == Query(None, "a") and hash(fast) == hash(query) and {query: 1}[fast] == 1
    function = jit.speedup(plain)
    assert function == plain and plain == function and not function != plain
    assert function != len and hash(function) == hash(plain) and {plain: 1}[function] == 1

    class Unhashable:
        __hash__ = None

        def __call__(self):
            return 1

    with pytest.raises(TypeError):
        hash(jit.speedup(Unhashable()))
    assert not isinstance(jit.speedup(Unhashable()), collections.abc.Hashable)


def test_closures_are_equal_by_identity():
    jit = make_jit()
    first, second = Query(lambda value: 1, "same"), Query(lambda value: 2, "same")
    assert first == second and jit.speedup(first) is not jit.speedup(second)
    assert jit.speedup(first)(0) == 1 and jit.speedup(second)(0) == 2


def test_the_same_closure_gives_the_same_entry(jit):
    fast = jit.speedup(plain)
    assert jit.speedup(plain) is fast and jit.speedup(fast) is fast
    assert lineiform.speedup(fast) is fast


def test_changes_of_a_callable_objects_class_are_seen():
    class Thing:
        def __call__(self):
            return 1

    thing = Thing()
    fast = make_jit(threshold=10**6).speedup(thing)
    assert fast() == 1
    Thing.__call__ = lambda self: 2
    assert fast() == 2

    class Other:
        def __call__(self):
            return 3

    thing.__class__ = Other
    assert fast() == 3


def test_changes_of_a_function_are_seen_while_counting():
    def f(a=1):
        return a

    fast = make_jit(threshold=10**6).speedup(f)
    assert fast() == 1
    f.__defaults__ = (2,)
    assert fast() == 2
    f.__code__ = (lambda a: (a, a)).__code__
    assert fast() == (2, 2)


def test_pickles_by_its_original():
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    fast = make_jit().speedup(operator_free)
    again = pickle.loads(pickle.dumps(fast))
    assert is_entry(again) and again.__wrapped__ is operator_free
    again = pickle.loads(pickle.dumps(make_jit().speedup(functools.partial(operator_free, 1))))
    assert again() == 1
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(make_jit().speedup(lambda: 1))


def operator_free(x):
    return x


def test_copies_by_its_original(jit):
    fast = jit.speedup(plain)
    assert copy.copy(fast) is fast and copy.deepcopy([fast])[0] is fast

    class Thing:
        def __init__(self):
            self.parts = []

        def __call__(self):
            return self.parts

    thing = jit.speedup(Thing())
    shallow, deep = copy.copy(thing), copy.deepcopy(thing)
    assert is_entry(shallow) and shallow() is thing() and is_entry(deep) and deep() is not thing()


def test_keeps_the_original_alive_no_longer_than_its_users_do(jit):
    class Marker:
        pass

    def make():
        marker = Marker()
        return (lambda: marker), weakref.ref(marker)

    f, marker = make()
    fast = ready(jit.speedup(f))
    original = weakref.ref(f)
    del f
    gc.collect()
    assert original() is not None and fast() is marker()
    del fast
    gc.collect()
    assert original() is None and marker() is None
    assert jit.stats()["entries"] == 0


def test_originals_die_at_once_without_the_garbage_collector(jit):
    gc.disable()
    try:
        for _ in range(3):
            f = (lambda value: lambda: value)(object())
            fast = ready(jit.speedup(f))
            gone = weakref.ref(f)
            del f, fast
            assert gone() is None
    finally:
        gc.enable()


def test_weak_references(jit):
    fast = jit.speedup(lambda: 1)
    died = []
    reference = weakref.ref(fast, died.append)
    assert reference() is fast
    del fast
    gc.collect()
    assert reference() is None and died


def test_ten_thousand_entries_leave_nothing_behind():
    jit = make_jit(threshold=2)
    for number in range(10_000):
        fast = jit.speedup((lambda value: lambda: value)(number))
        assert fast() == number
    del fast
    gc.collect()
    stats = jit.stats()
    assert stats["entries"] == 0 and not jit._entries and stats["code_bytes"] == 0


def caller_name():
    return sys._getframe(1).f_code.co_name


def test_no_frame_of_ours_is_visible(jit):
    def f(depth=0):
        frames = []
        frame = sys._getframe()
        while frame is not None:
            frames.append(frame.f_code.co_filename)
            frame = frame.f_back
        return caller_name(), sys._getframe(1).f_code.co_name, frames

    fast = jit.speedup(f)
    for _ in range(5):
        inner, outer, frames = fast()
        assert (inner, outer) == ("f", "test_no_frame_of_ours_is_visible")
        assert not [name for name in frames if "lineiform" in name and "tiers" in name]


def test_tracebacks_show_the_users_functions_only(jit):
    def f(x):
        return 1 / x

    fast = jit.speedup(f)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError) as caught:
            fast(0)
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names == ["test_tracebacks_show_the_users_functions_only", "f"]
        assert caught.value.__context__ is None


def test_exceptions_keep_their_context(jit):
    def f():
        raise KeyError("inner")

    fast = jit.speedup(f)
    for _ in range(5):
        with pytest.raises(KeyError) as caught:
            try:
                raise ValueError("outer")
            except ValueError as outer:
                expected = outer
                fast()
        assert caught.value.__context__ is expected


def test_callable_object_with_metaclass_and_slots(jit):
    class Meta(type):
        def __call__(cls, *args):
            return super().__call__(*args)

    class Thing(metaclass=Meta):
        __slots__ = ("value",)

        def __init__(self, value):
            self.value = value

        def __call__(self, x):
            return self.value + x

    thing = Thing(3)
    assert ready(jit.speedup(thing), 0)(4) == 7


def test_entries_of_entries_share_operators_classes():
    jit = make_jit()
    assert type(jit.speedup(lambda: 1)) is type(jit.speedup(lambda: 2))
    assert type(jit.speedup(Query(None))) is type(jit.speedup(Query(None)))


def test_classes_of_dead_types_are_dropped():
    from lineiform.tiers import entry

    class Thing:
        def __call__(self):
            return 1

    make_jit().speedup(Thing())
    known = len(entry._CLASSES)
    gone = weakref.ref(Thing)
    del Thing
    gc.collect()
    assert gone() is None and len(entry._CLASSES) < known
