"""Closure trees of one shape share code, and behave as if each had been compiled for itself."""

import functools
import gc
import traceback
import weakref

import pytest

from tests.specialize.support import jit_of


class Many:
    """Trees from one maker, sped up by one Lineiform and compared with plain ones."""

    def __init__(self, make, arguments, *, freeze=False, **options):
        self.jit = jit_of(**options)
        self.plain = [make(*given) for given in arguments]
        self.originals = [make(*given) for given in arguments]
        self.fast = []
        for original in self.originals:
            if freeze:
                self.jit.freeze(original)
            self.fast.append(self.jit.speedup(original, eager=True, strict=True))

    def check(self, *args):
        for plain, fast in zip(self.plain, self.fast, strict=True):
            assert outcome(fast, args) == outcome(plain, args)

    def compiled(self):
        return self.jit.stats()["events"].get("compiled", 0)

    def state(self, number):
        return self.jit.explain(self.fast[number]).state


def outcome(function, args):
    try:
        result = function(*args)
    except Exception as error:
        return type(error), error.args
    return type(result), repr(result)


def rule(field, limit):
    def fetch(record):
        return record[field]

    return lambda record: fetch(record) > limit


def test_a_thousand_rules_are_compiled_once():
    many = Many(rule, [(f"field{number}", number) for number in range(1000)])
    assert many.compiled() == 1
    assert many.jit.stats()["events"]["shared"] == 999
    sizes = [many.jit.explain(fast).to_dict()["code_bytes"] for fast in many.fast[:2]]  # for one tree, for all
    assert many.jit.stats()["code_bytes"] == sum(sizes)
    for number in (0, 7, 999):
        many.check({f"field{number}": number + 1})
        many.check({f"field{number}": number})


@pytest.mark.parametrize("freeze", [False, True])
def test_equal_values_at_two_places_need_not_be_equal_elsewhere(freeze):
    def make(a, b):
        inner = lambda x: x + b
        return lambda x: (inner(x), x + a)

    many = Many(make, [(5, 5), (5, 6), (7, 7), (300, 301), (2000, 2000)], freeze=freeze)
    many.check(1)
    assert many.compiled() == 1


def test_types_differ():
    def make(limit):
        return lambda x: x * limit

    many = Many(make, [(3,), (4.5,), (True,), (10**40,), (-0.0,), (None,), ("ab",), (7,), (2.5,)])
    for value in (2, 2.0, -1, "x"):
        many.check(value)
    assert many.compiled() == 5


def test_folded_constants_differ():
    def make(a, b):
        left, right = (lambda x: a), (lambda x: b)
        return lambda x: (left(x) + right(x)) * x

    many = Many(make, [(1, 2), (1, 3), (2, 1), (1, 2), (1.0, 2), (0.0, -0.0), (-0.0, -0.0)])
    many.check(3)
    many.check(-1)


@pytest.mark.parametrize("value", [0, 1, "", "a", (), (1,)])
def test_truth_of_a_constant(value):
    def make(flag):
        return lambda x: "yes" if flag else "no"

    many = Many(make, [(0,), (1,), (2,), (0,), ("",), ("a",), ("b",), (0.0,), ((),), ((1,),), (value,)])
    many.check(None)


def test_a_branch_on_a_constant():
    def make(operator):
        def apply(a, b):
            if operator == "+":
                return a + b
            if operator == "-":
                return a - b
            raise ValueError(operator)

        return lambda x: apply(x, 3)

    many = Many(make, [("+",), ("-",), ("*",), ("+",), ("-",)])
    many.check(10)
    assert many.compiled() == 3


def test_identity_of_constants():
    big = 10**20

    def make(a, b):
        return lambda x: a is b

    many = Many(make, [(big, big), (big, int("1" + "0" * 20)), (big, big), ((1, big), (1, big))])
    many.check(1)


def test_cells_that_are_shared_and_cells_that_are_not():
    def counters(shared):
        count = 0

        def bump():
            nonlocal count
            count += 1
            return count

        def other():
            total = 0

            def bump():
                nonlocal total
                total += 1
                return total

            return bump

        def second():
            nonlocal count
            count += 1
            return count

        again = second if shared else other()
        return lambda x: (bump(), again(), bump())

    many = Many(counters, [(True,), (False,), (True,), (False,)])
    for _ in range(3):
        many.check(0)


def test_one_closure_at_two_places():
    def make(same):
        def term(n):
            state = [n]

            def run(x):
                state[0] += x
                return state[0]

            return run

        left = term(1)
        right = left if same else term(1)
        return lambda x: (left(x), right(x), left(x))

    many = Many(make, [(False,), (True,), (False,), (True,)])
    for value in (1, 2):
        many.check(value)


def test_the_code_of_an_inner_closure_differs():
    def make(kind):
        inner = {"a": lambda x: x + 1, "b": lambda x: x - 1, "c": len}[kind]
        return lambda x: inner(x)

    many = Many(make, [("a",), ("b",), ("c",), ("a",), ("b",), ("c",)])
    many.check(5)
    many.check([1])


def test_a_tuple_of_closures():
    def all_of(*terms):
        def run(x):
            for term in terms:
                if not term(x):
                    return False
            return True

        return run

    def above(n):
        return lambda x: x > n

    many = Many(
        lambda *limits: all_of(*map(above, limits)), [(1, 2, 3), (4, 5, 6), (1, 2), (7, 8, 9), (5, 6), (), (1, 1, 1)]
    )
    for value in range(10):
        many.check(value)
    assert many.compiled() == 3


def test_a_tuple_of_names():
    def path_of(*names):
        def fetch(value):
            for name in names:
                value = value[name]
            return value

        return lambda value: fetch(value) == 1

    many = Many(path_of, [("a",), ("b",), ("a", "b"), ("b", "a"), ("c", "a")])
    for record in ({"a": 1}, {"b": 1}, {"a": {"b": 1}}, {"b": {"a": 1}}, {}):
        many.check(record)
    assert many.compiled() == 2


def test_defaults():
    def make(step):
        def inner(x, by=step):
            return x + by

        return lambda x, times=step: inner(x) * times

    many = Many(make, [(2,), (3,), (4,), (2.5,), ("z",)])
    many.check(10)
    assert many.compiled() == 3
    many.check(10, 2)


def test_keyword_only_defaults():
    def make(step):
        def inner(x, *, by=step):
            return x + by

        return lambda x: inner(x)

    many = Many(make, [(2,), (3,), (2,)])
    many.check(10)
    many.originals[0].__closure__[0].cell_contents.__kwdefaults__["by"] = 50
    many.plain[0].__closure__[0].cell_contents.__kwdefaults__["by"] = 50
    many.check(10)


def add3(a, b, c):
    return a + b + c


def test_partials():
    def make(a, b):
        bound = functools.partial(add3, a, b)
        return lambda x: bound(x)

    many = Many(make, [(1, 2), (1, 2), (3, 4), ("a", "b"), (1, 1)])
    many.check(5)
    many.check("c")


def test_a_partial_as_the_root():
    many = Many(lambda a: functools.partial(add3, a, a), [(1,), (2,), (1,), ("a",)])
    many.check(5)
    many.check("b")


class Query:
    def __init__(self, test, name):
        self.test = test
        self.name = name

    def __call__(self, value):
        return self.test(value), self.name

    def ask(self, value):
        return self.test(value)


@pytest.mark.parametrize("freeze", [False, True])
def test_callable_objects(freeze):
    many = Many(lambda n: Query(lambda x: x > n, f"query {n}"), [(1,), (2,), (3,), (2.5,)], freeze=freeze)
    for value in (1, 2, 3, 4):
        many.check(value)
    assert many.compiled() == 2


def test_bound_methods():
    many = Many(lambda n: Query(lambda x: x > n, "").ask, [(1,), (2,), (3,)])
    for value in (1, 2, 3, 4):
        many.check(value)
    assert many.compiled() == 1
    many.originals[1].__self__.test = lambda x: "other"
    many.plain[1].__self__.test = lambda x: "other"
    many.check(2)


def test_captured_lists_and_dicts_are_data():
    def make(table, log):
        def note(x):
            log.append(x)
            return table[x]

        return lambda x: note(x)

    many = Many(lambda n: make({1: n, 2: [n]}, [n]), [(1,), (2,), (3,)])
    for value in (1, 2, 3):
        many.check(value)
    assert many.compiled() == 1


def test_a_list_of_closures():
    def make(*limits):
        terms = [(lambda x, n=n: x > n) for n in limits]
        return lambda x: [term(x) for term in terms], terms

    jit = jit_of()
    for limits in ((1, 2), (3, 4), (1,), (5, 6)):
        root, terms = make(*limits)
        fast = jit.speedup(root, eager=True, strict=True)
        assert fast(3) == root(3)
        terms.append(lambda x: "new")
        assert fast(3) == root(3)
        terms[0] = lambda x: "changed"
        assert fast(3) == root(3)


def test_rebinding_in_one_tree_leaves_the_others_alone():
    def make(n):
        step = n

        def inner(x):
            return x + step

        def change(value):
            nonlocal step
            step = value

        root = lambda x: inner(x)
        root.change = change
        return root

    many = Many(make, [(1,), (2,), (3,)])
    many.check(10)
    for trees in (many.plain, many.originals):
        trees[1].change("text")
    many.check(10)
    many.check("a")
    for trees in (many.plain, many.originals):
        trees[2].change(2.5)
    many.check(10)


def test_another_code_in_one_tree():
    def make(n):
        def inner(x):
            return x + n

        return lambda x: inner(x)

    def other(n):
        return lambda x: x - n

    many = Many(make, [(1,), (2,), (3,)])
    assert many.compiled() == 1
    for trees in (many.plain, many.originals):
        trees[1].__closure__[0].cell_contents.__code__ = other(0).__code__
    many.check(10)
    assert many.state(0) == "installed" and many.state(2) == "installed"


def test_a_check_that_fails_in_one_tree():
    class Holder:
        pass

    def make(n):
        holder = Holder()
        holder.run = lambda x: x + n
        root = lambda x: holder.run(x) * 2
        root.holder = holder
        return root

    many = Many(make, [(1,), (2,), (3,)])
    assert many.compiled() == 1
    many.check(5)
    for trees in (many.plain, many.originals):
        trees[1].holder.run = lambda x: "other"
    many.check(5)
    for trees in (many.plain, many.originals):
        del trees[2].holder.run
    many.check(5)


def test_recursion_stays_in_its_own_tree():
    def make(stop, base):
        def run(n):
            return base if n <= stop else run(n - 1) + n

        return run

    many = Many(make, [(0, 1), (1, 2), (-3, 50), (0, "x")])
    many.check(10)
    many.check(4)


def test_tracebacks_show_the_lines_of_the_tree():
    def make(key):
        def fetch(record):
            return record[key]

        def middle(record):
            return fetch(record) + 1

        return lambda record: middle(record)

    many = Many(make, [("a",), ("b",), ("c",)])
    assert many.compiled() == 1
    for key, plain, fast in zip("abc", many.plain, many.fast):
        seen = []
        for function in (plain, fast):
            with pytest.raises(KeyError) as caught:
                function({})
            frames = traceback.extract_tb(caught.value.__traceback__)[1:]
            seen.append((caught.value.args, [(f.name, f.lineno, f.filename) for f in frames]))
        assert seen[0] == seen[1] and seen[1][0] == (key,) and len(seen[1][1]) == 3


def test_exceptions_that_are_caught_in_the_tree():
    def make(key, default):
        def fetch(record):
            try:
                return record[key]
            except KeyError as error:
                return default, error.args

        return lambda record: fetch(record)

    many = Many(make, [("a", 1), ("b", 2), ("c", "none")])
    many.check({"a": 5})
    many.check({})
    many.check(None)


def test_functions_of_other_modules():
    namespaces = [{}, {}]
    for number, namespace in enumerate(namespaces):
        exec(f"BASE = {number * 100}\ndef inner(n):\n    return lambda x: x + n + BASE\n", namespace)

    def make(which, n):
        inner = namespaces[which]["inner"](n)
        return lambda x: inner(x)

    many = Many(make, [(0, 1), (1, 1), (0, 2), (1, 2)])
    many.check(5)
    namespaces[1]["BASE"] = 1000
    many.check(5)


def test_frozen_in_one_tree_only():
    def make(n):
        table = [n, n + 1]
        root = lambda x: table[0] + x
        root.table = table
        return root

    jit = jit_of()
    roots = [make(n) for n in (1, 2, 1)]
    jit.freeze(roots[0])
    fast = [jit.speedup(root, eager=True, strict=True) for root in roots]
    assert [f(1) for f in fast] == [2, 3, 2]
    roots[1].table[0] = 50
    roots[2].table[0] = 60
    assert fast[1](1) == 51 and fast[2](1) == 61


def test_exact_and_relaxed_units_are_kept_apart():
    def make(n):
        return lambda x: x + n

    for exact in (False, True):
        many = Many(make, [(1,), (2,)], exact=exact)
        many.check(1)
        for trees in (many.plain, many.originals):
            if exact:
                trees[1].__closure__[0].cell_contents = 77
        many.check(1)


def test_entries_inside_of_trees():
    jit = jit_of()

    def make(n):
        inner = jit.speedup(lambda x: x + n, eager=True, strict=True)
        return lambda x: inner(x) * 2

    roots = [make(n) for n in range(5)]
    fast = [jit.speedup(root, eager=True, strict=True) for root in roots]
    assert [f(1) for f in fast] == [(1 + n) * 2 for n in range(5)]
    assert jit.stats()["events"]["compiled"] == 2


def test_what_explain_says_belongs_to_the_tree():
    many = Many(rule, [("price", 1), ("amount", 2)])
    first, second = (many.jit.explain(fast) for fast in many.fast)
    assert "'price'" in first.ir() and "'amount'" not in first.ir()
    assert "'amount'" in second.ir() and "'price'" not in second.ir()
    assert first.to_dict()["shared"] is False and second.to_dict()["shared"] is True
    assert "shared" in str(second) and "shared" not in str(first)


class Captured:
    pass


def test_a_tree_dies_while_others_of_its_shape_live():
    def make(thing):
        return lambda x: (x, type(thing).__name__)

    jit = jit_of()
    things = [Captured() for _ in range(3)]
    roots = [make(thing) for thing in things]
    fast = [jit.speedup(root, eager=True, strict=True) for root in roots]
    assert jit.stats()["events"]["compiled"] == 1
    watched = [weakref.ref(thing) for thing in things]
    for number in (0, 2):  # the first one, which was compiled, among them
        fast[number] = roots[number] = things[number] = None
    gc.collect()
    assert [one() is None for one in watched] == [True, False, True]
    assert fast[1](1) == (1, "Captured")
    fast[1] = roots[1] = things[1] = None
    gc.collect()
    assert watched[1]() is None


def test_the_cache_keeps_nothing_of_the_program_alive():
    jit = jit_of()
    namespace = {"Captured": Captured}
    exec(
        "class Table:\n    pass\n"
        "table = Table()\n"
        "def get(x): return table, x\n"
        "def make(thing):\n    return lambda x: (get(x), isinstance(x, Table), thing)\n"
        "root = make(Captured())\n",
        namespace,
    )
    fast = jit.speedup(namespace["root"], eager=True, strict=True)
    fast(1)
    watched = [weakref.ref(namespace[name]) for name in ("Table", "table", "get")]
    watched.append(weakref.ref(fast(1)[2]))
    del namespace, fast
    gc.collect()
    assert [one() for one in watched] == [None] * 4


def test_many_code_objects_are_forgotten():
    jit = jit_of()
    for number in range(400):
        namespace = {}
        exec(f"def make(n):\n    return lambda x: x + n + {number}\n", namespace)
        assert jit.speedup(namespace["make"](1), eager=True, strict=True)(1) == number + 2
    assert len(jit._service.shapes) <= 256
