"""Lists that only inlined code sees are not built, and nobody can tell."""

import gc
import sys
import weakref

import pytest

from tests.specialize.support import Same, World, fast_of, jit_of


class Noisy:
    """Tells when it dies."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def __del__(self):
        self.log.append(("dead", self.name))

    def __add__(self, other):
        self.log.append(("add", self.name))
        return self.name + other

    def __bool__(self):
        self.log.append(("bool", self.name))
        return True


def ops_of(fast, jit):
    return jit.explain(fast).ir()


def compiled(function, **options):
    jit = jit_of(**options)
    fast = jit.speedup(function, eager=True, strict=True)
    return fast, jit.explain(fast).ir()


# Words of a stack machine


def push(value):
    return lambda stack: stack.append(value)


def dup(stack):
    stack.append(stack[-1])


def swap(stack):
    stack[-1], stack[-2] = stack[-2], stack[-1]


def drop(stack):
    stack.pop()


def rot(stack):
    stack.append(stack.pop(-3))


def binary(operation):
    def run(stack):
        right = stack.pop()
        left = stack.pop()
        stack.append(operation(left, right))

    return run


ADD = binary(lambda left, right: left + right)
MUL = binary(lambda left, right: left * right)
SUB = binary(lambda left, right: left - right)
GREATER = binary(lambda left, right: left > right)
DIV = binary(lambda left, right: left // right)


def then(*words):
    def run(stack):
        for word in words:
            word(stack)

    return run


def if_else(yes, no):
    def run(stack):
        if stack.pop():
            yes(stack)
        else:
            no(stack)

    return run


def loop(test, body):
    def run(stack):
        while True:
            test(stack)
            if not stack.pop():
                break
            body(stack)

    return run


def times(body):
    def run(stack):
        for index in range(stack.pop()):
            stack.append(index)
            body(stack)

    return run


def program(word, *before):
    def run(*arguments):
        stack = []
        for argument in arguments:
            stack.append(argument)
        word(stack)
        return stack

    def simple(first=0):
        stack = [first]
        word(stack)
        return stack

    return simple if not before else run


PROGRAMS = {
    "straight": then(push(2), ADD, dup, MUL),
    "swap": then(push(7), swap, SUB),
    "rot": then(push(1), push(2), rot, SUB, SUB),
    "branches": then(dup, push(3), GREATER, if_else(then(push(1), ADD), then(push(2), MUL)), push(5), ADD),
    "branches of other depth": then(dup, push(3), GREATER, if_else(push(1), then(push(2), push(3))), push(5)),
    "loop": loop(then(dup, push(0), GREATER), then(push(1), SUB)),
    "loop that keeps": then(push(0), swap, loop(then(dup, push(0), GREATER), then(dup, rot, ADD, swap, push(1), SUB))),
    "loop that grows": then(loop(then(dup, push(0), GREATER), then(dup, push(1), SUB))),
    "counted": then(push(0), swap, times(ADD)),
    "counted twice": then(push(0), swap, times(then(ADD, push(3), times(ADD)))),
    "underflow": then(drop, drop),
    "underflow in a loop": loop(then(dup, push(-3), GREATER), then(push(1), SUB, if_else(dup, drop), drop)),
    "division": then(push(12), swap, DIV),
    "type changes in a loop": loop(then(dup, push(1), GREATER), then(push(2.0), swap, SUB, push(-1), MUL)),
    "index too far": lambda stack: stack.append(stack[-3]),
    "store too far": swap,
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
def test_stack_machine(name, frozen):
    def make():
        root = program(PROGRAMS[name])
        return root, World()

    same = Same(make)
    if frozen:
        same.fast = same.jit.speedup(same.jit.freeze(program(PROGRAMS[name])), eager=True, strict=True)
    for value in (0, 1, 3, 5, 10, True, 2.5, "x", None):
        same.check(value)


@pytest.mark.parametrize("name", ["straight", "swap", "rot", "branches", "loop", "loop that keeps"])
def test_nothing_is_pushed_or_popped(name):
    jit = jit_of()
    fast = jit.speedup(jit.freeze(program(PROGRAMS[name])), eager=True, strict=True)
    text = jit.explain(fast).ir()
    assert "name=append" not in text
    assert "name=pop" not in text
    assert text.count("py.build_list") == 1


def same(make):
    """Compare once; ``make(world)`` gives the root."""

    def both():
        world = World()
        return make(world), world

    return Same(both)


def test_items_live_as_long_as_the_list_holds_them():
    def make(world):
        def use(stack):
            stack.append(Noisy("c", world.log))
            world.log.append("pushed")
            stack.pop()
            world.log.append("popped")
            stack[-1] = None
            world.log.append("replaced")

        def root():
            stack = [Noisy("a", world.log), Noisy("b", world.log)]
            use(stack)
            world.log.append("used")
            return 1

        return root

    assert same(make).check() == ("returned", 1)


def test_a_list_dies_with_its_last_variable():
    def make(world):
        def root():
            one = [Noisy("a", world.log), Noisy("b", world.log)]
            two = one
            one = None
            world.log.append(two[0].name)
            del two
            world.log.append("gone")
            three = [Noisy("c", world.log)]
            three = [Noisy("d", world.log)]
            world.log.append("again")
            return three is None

        return root

    same(make).check()


def test_a_list_dies_at_the_end_of_its_function_in_order():
    def make(world):
        def inner():
            first = Noisy("first", world.log)
            stack = [Noisy("a", world.log), Noisy("b", world.log)]
            last = Noisy("last", world.log)
            return 5 + (first is last) + len(stack)

        def root():
            result = inner()
            world.log.append("back")
            first = Noisy("first", world.log)
            stack = [Noisy("a", world.log), Noisy("b", world.log)]
            last = Noisy("last", world.log)
            return result + (first is last) + bool(stack)

        return root

    same(make).check()


def test_a_list_dies_when_an_exception_leaves_its_function():
    def make(world):
        def inner(value):
            stack = [Noisy("a", world.log)]
            stack.append(Noisy("b", world.log))
            return stack[0] + value

        def root(value):
            try:
                inner(value)
            except TypeError:
                world.log.append("caught")
            return value

        return root

    both = same(make)
    both.check("x")
    # An inlined frame has no variables in a traceback: what they hold dies when the exception leaves (limits page).
    for root, world in ((both.plain, both.plain_world), (both.fast, both.fast_world)):
        del world.log[:]
        assert root(1) == 1
        assert sorted(map(str, world.log)) == ["('add', 'a')", "('dead', 'a')", "('dead', 'b')", "caught"]


def test_a_handler_sees_what_was_done_before():
    def make(world):
        def work(stack, value):
            stack.append(1)
            stack.append(10 // value)

        def root(value):
            stack = [value]
            try:
                work(stack, value)
            except ZeroDivisionError:
                stack.append("handled")
            return stack

        return root

    both = same(make)
    for value in (0, 1, 5):
        both.check(value)


def test_handlers_that_see_lists_of_different_length():
    def make(world):
        def root(a, b):
            stack = []
            try:
                stack.append(10 // a)
                stack.append(10 // b)
            except ZeroDivisionError:
                stack.append(Noisy("z", world.log).name)
            finally:
                stack.append("end")
            return stack

        return root

    both = same(make)
    for a in (0, 1):
        for b in (0, 1):
            both.check(a, b)


def test_an_escape_on_one_way_only():
    def make(world):
        def root(flag):
            stack = [1, flag]
            if flag:
                world.log.append(stack)
            stack.append(3)
            world.log.append(len(stack))
            return stack

        return root

    both = same(make)
    for flag in (0, 1, 0):
        both.check(flag)


def test_what_escaped_is_the_same_object():
    def make(world):
        kept = []

        def root(flag):
            stack = [flag]
            other = stack
            kept.append(stack)
            stack.append(2)
            other.append(3)
            return kept[-1] is stack, other is stack, stack == [flag, 2, 3], kept[-1] is other, kept[-1]

        return root

    assert same(make).check(1)[1][:4] == (True, True, True, True)


def test_identity_and_size():
    def make(world):
        def root():
            one, two = [], []
            first = one
            answers = [one is two, one is first, one is not two, one is None, id(one) == id(first), id(one) == id(two)]
            return answers, type(one) is list, isinstance(two, list), len(one), not one, one == two

        return root

    same(make).check()


def test_getsizeof_and_collector_see_a_real_list():
    def make(world):
        def root():
            stack = [1]
            stack.append(2)
            return sys.getsizeof(stack) > 40, gc.is_tracked(stack)

        return root

    same(make).check()


def test_a_list_in_itself():
    def make(world):
        def root():
            stack = []
            stack.append(stack)
            other = [0]
            other[0] = other
            return stack[0] is stack, other[0] is other, repr(stack)

        return root

    same(make).check()


def test_lists_in_lists():
    def make(world):
        def root(value):
            inner = [value]
            outer = [inner]
            inner.append(2)
            outer[0].append(3)
            return outer, inner, outer[0] is inner

        return root

    same(make).check("v")


def test_captured_by_a_function_that_escapes():
    def make(world):
        def root(value):
            stack = [value]
            stack.append(1)
            world.log.append(lambda: stack)
            stack.append(2)
            return world.log[-1]() is stack, stack

        return root

    plain, fast = World(), World()
    assert make(plain)(3) == fast_of(make(fast))(3)


def test_made_in_a_loop():
    def make(world):
        def root(count):
            total = 0
            for number in range(count):
                pair = [number, Noisy(number, world.log)]
                pair.append(number + 1)
                total += pair[0] + pair.pop()
                world.log.append(number)
            return total

        return root

    both = same(make)
    for count in (0, 1, 4):
        both.check(count)


def test_quiet_list_made_in_a_loop_is_never_built():
    def root(numbers):
        total = 0
        for number in numbers:
            pair = [3, 5]
            total += pair.pop() - pair.pop() + number
        return total

    fast, text = compiled(root)
    assert fast([1, 2]) == root([1, 2])
    assert "py.build_list" not in text


def test_rebound_in_a_branch():
    def make(world):
        def root(flag):
            stack = [Noisy("a", world.log)]
            if flag:
                stack = None
                world.log.append("rebound")
            world.log.append(bool(stack))
            return 0

        return root

    both = same(make)
    both.check(True)
    both.check(False)


def test_bound_on_one_way_only():
    def make(world):
        def root(flag):
            if flag:
                stack = [Noisy("a", world.log)]
                world.log.append(stack[0].name)
            world.log.append("met")
            return flag and len(stack)

        return root

    both = same(make)
    both.check(True)
    both.check(False)


def test_a_temporary_reference_keeps_it():
    def make(world):
        def pair(one, two):
            world.log.append("called")
            return one, two

        def root():
            stack = [Noisy("a", world.log)]
            result = pair(stack, (stack := None))
            return len(result[0]), stack

        return root

    same(make).check()


def test_handed_to_a_starred_parameter():
    def make(world):
        def many(*stacks, **named):
            stacks[0].append(1)
            named["more"].append(2)
            return stacks[0]

        def root():
            stack = []
            return many(stack, more=stack) is stack, stack

        return root

    same(make).check()


def test_unpacked_iterated_compared_and_sliced():
    def make(world):
        def root(a, b):
            stack = [a, b]
            x, y = stack
            first = [x, y]
            total = 0
            for item in first:
                total += item
            numbers = [a, b, total]
            return numbers[1:], numbers == [a, b, a + b], total in numbers, [*numbers], x, y

        return root

    same(make).check(1, 2)


def test_wrong_calls_of_methods():
    def make(world):
        def root(which):
            stack = [1, 2]
            if which == 0:
                stack.append()
            elif which == 1:
                stack.pop(1, 2)
            elif which == 2:
                stack.pop("x")
            elif which == 3:
                stack.append(1, x=2)
            elif which == 4:
                stack.nothing
            elif which == 5:
                stack.pop(7)
            elif which == 6:
                (a,) = stack
            elif which == 7:
                stack[5] = 1
            return stack

        return root

    both = same(make)
    for which in range(9):
        both.check(which)


def test_other_methods():
    def make(world):
        def root(value):
            stack = [3, 1, 2]
            stack.append(value)
            stack.sort()
            other = [value]
            other.extend(stack)
            other += [9]
            third = [1]
            third *= 2
            fourth = [1, 2, 3]
            del fourth[0]
            return stack, other, third, fourth

        return root

    same(make).check(0)


def test_a_failing_check_builds_it_first():
    world = World()

    def make():
        world = World(step=lambda stack: stack.append("first"))

        def root(value):
            stack = [value]
            stack.append(Noisy("n", world.log))
            world.step(stack)
            stack.append("after")
            return [item for item in stack if not isinstance(item, Noisy)]

        return root, world

    both = Same(make)
    both.check(1)
    both.change(lambda world: setattr(world, "step", lambda stack: stack.insert(0, "second")))
    both.check(2)
    both.change(lambda world: setattr(world, "step", lambda stack: stack[3]))
    both.check(3)
    assert world is not None


def test_words_that_are_rebound_meanwhile():
    def make():
        words = [push(1), push(2), ADD, dup, MUL]

        def root(value):
            stack = [value]
            for word in words:
                word(stack)
            return stack

        return root, World(words=words)

    both = Same(make)
    both.check(1)
    both.change(lambda world: world.words.__setitem__(2, SUB))
    both.check(1)
    both.change(lambda world: world.words.append(drop))
    both.check(1)
    both.change(lambda world: world.words.append(drop))
    both.change(lambda world: world.words.append(drop))
    both.check(1)


def test_weak_references_to_items():
    class Thing:
        pass

    def make(world):
        def root():
            stack = [Thing()]
            seen = weakref.ref(stack[0])
            world.log.append(seen() is None)
            stack.pop()
            world.log.append(seen() is None)
            stack.append(Thing())
            seen = weakref.ref(stack[-1])
            stack[0] = 1
            world.log.append(seen() is None)
            return len(stack)

        return root

    assert same(make).check() == ("returned", 1)


def test_user_operators_between_pushes():
    def make(world):
        def root():
            stack = [Noisy("a", world.log)]
            stack.append(5)
            right = stack.pop()
            left = stack.pop()
            stack.append(left + str(right))
            world.log.append("added")
            del left
            world.log.append("deleted")
            return stack

        return root

    same(make).check()


def test_recursion_with_a_list_of_its_own():
    def make(world):
        def down(number):
            stack = [number]
            if number:
                stack.append(down(number - 1))
            return sum(stack)

        return down

    both = same(make)
    for number in (0, 1, 5):
        both.check(number)


def test_list_subclass_is_left_alone():
    class Loud(list):
        def append(self, item):
            list.append(self, ("loud", item))

    def make(world):
        def fill(stack):
            stack.append(1)
            return stack[0]

        def root(which):
            stack = Loud() if which else []
            return fill(stack), stack

        return root

    both = same(make)
    both.check(0)
    both.check(1)


def test_while_loop_with_nested_lists_and_break():
    def make(world):
        def root(limit):
            stack = [limit]
            seen = []
            while stack:
                item = stack.pop()
                if item < 0:
                    break
                seen.append(item)
                if item > 0:
                    stack.append(item - 1)
                    stack.append(item - 2)
            else:
                seen.append("empty")
            return seen, stack

        return root

    both = same(make)
    for limit in (0, 1, 2, 5):
        both.check(limit)


def test_generic_loop_after_a_failed_check():
    def make():
        world = World(step=lambda stack: stack.append(stack.pop() + 1))

        def root(count):
            stack = [0]
            other = [Noisy("n", world.log)]
            for _ in range(count):
                world.step(stack)
                other.append(stack[-1])
            return stack, other[1:]

        return root, world

    both = Same(make)
    both.check(3)
    both.change(lambda world: setattr(world, "step", lambda stack: stack.append(2)))
    both.check(3)


# Recursion that hands over items


def recursive(make):
    """A word that may call itself: ``make(itself)``."""
    word = make(lambda stack: word(stack))
    return word


FIB = recursive(
    lambda itself: then(
        dup, push(2), binary(lambda left, right: left < right),
        if_else(then(), then(dup, push(1), SUB, itself, swap, push(2), SUB, itself, ADD)),
    )
)  # fmt: skip
FACTORIAL = recursive(
    lambda itself: then(dup, push(1), GREATER, if_else(then(dup, push(1), SUB, itself, MUL), then()))
)
DOWN = recursive(lambda itself: then(dup, push(0), GREATER, if_else(then(dup, push(1), SUB, itself), then())))
"Leaves as many items as it was deep: nothing that could be handed over."
EATS = recursive(lambda itself: then(dup, push(0), GREATER, if_else(then(push(1), SUB, itself), drop)))
"Gives one item less than it takes."
DIVIDES = recursive(lambda itself: then(push(1), SUB, dup, push(10), swap, DIV, drop, itself))
"Ends with an exception, some levels deep."
HALVES = recursive(
    lambda itself: then(
        dup, push(1), GREATER, if_else(then(push(2), binary(lambda left, right: left / right), itself), then())
    )
)
"The type changes on the way."


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "word", [FIB, FACTORIAL, DOWN, EATS, DIVIDES, HALVES], ids="fib factorial down eats divides halves".split()
)
def test_recursion_over_the_stack(word, frozen):
    def make():
        return program(then(push(100), swap, word)), World()

    both = Same(make)
    if frozen:
        both.fast = both.jit.speedup(both.jit.freeze(make()[0]), eager=True, strict=True)
    for value in (1, 2, 3, 7, True, "x", None) if word is DIVIDES else (0, 1, 2, 3, 7, 7.5, True, "x", None):
        both.check(value)


@pytest.mark.parametrize("word", [FIB, FACTORIAL, EATS, HALVES], ids="fib factorial eats halves".split())
def test_recursion_hands_over_items(word):
    jit = jit_of()
    fast = jit.speedup(jit.freeze(program(then(push(100), swap, word))), eager=True, strict=True)
    text = jit.explain(fast).ir().split("\nfunc ")[0]  # recursion without items may be a function of its own
    assert "name=append" not in text
    assert "name=pop" not in text


def test_items_handed_over_die_when_they_would():
    def make(world):
        def pop_twice(stack, number):
            stack.pop()
            world.log.append(("popped", number))
            if number:
                stack.append(Noisy(number, world.log))
                world.log.append(("pushed", number))
                pop_twice(stack, number - 1)
                stack.append(Noisy(-number, world.log))
            world.log.append(("leaves", number))

        def root(number):
            stack = [Noisy("below", world.log), Noisy("top", world.log)]
            pop_twice(stack, number)
            world.log.append("back")
            return len(stack)

        return root

    both = same(make)
    for number in (0, 1, 3):
        both.check(number)
    both.fast = both.jit.speedup(both.jit.freeze(make(both.fast_world)), eager=True, strict=True)
    both.check(2)


def test_recursion_protected_by_a_handler():
    def make(world):
        def down(stack):
            number = stack.pop()
            stack.append(10 // number)
            stack.append(number - 1)
            down(stack)

        def root(number):
            stack = [number]
            try:
                down(stack)
            except ZeroDivisionError:
                stack.append("end")
            return stack

        return root

    both = same(make)
    for number in (0, 1, 4):
        both.check(number)


def test_two_lists_and_a_plain_argument():
    def make(world):
        def move(left, right, count):
            if count:
                right.append(left.pop() + count)
                move(left, right, count - 1)
                left.append(right.pop())

        def same_twice(left, right, count):
            if count:
                right.append(left.pop())
                same_twice(left, right, count - 1)

        def root(count):
            one, two = [1, 2, 3], []
            one = [1, 2, 3]
            two = [0]
            move(one, two, count)
            three = [1]
            same_twice(three, three, count)
            return one, two, three

        return root

    both = same(make)
    for count in (0, 1, 2, 5):
        both.check(count)


def test_recursion_that_looks_deeper():
    def make(world):
        def deep(stack):
            if stack[-3] > 0:
                stack[-3] -= stack[-1]
                stack[-2] += 1
                deep(stack)

        def length(stack):
            if len(stack) < 5:
                stack.append(1)
                length(stack)

        def root(number):
            stack = [number]
            stack.append(0)
            stack.append(2)
            deep(stack)
            other = [number]
            length(other)
            return stack, other

        return root

    both = same(make)
    for number in (0, 1, 7):
        both.check(number)


def test_deep_recursion_ends_as_usual():
    def make():
        return program(recursive(lambda itself: then(push(1), ADD, itself))), World()

    root, _ = make()
    jit = jit_of()
    fast = jit.speedup(jit.freeze(make()[0]), eager=True, strict=True)
    for one in (root, fast):
        with pytest.raises(RecursionError):
            one(1)


def test_questions_that_need_no_list():
    def root(value):
        stack = [value, 2]
        other = []
        alias = stack
        return (
            len(stack), len(other), bool(stack), not other, type(stack) is list, isinstance(stack, list),
            isinstance(stack, (str, dict)), stack is alias, stack is other, stack is not None, stack is value,
        )  # fmt: skip

    jit = jit_of()
    fast = jit.speedup(root, eager=True, strict=True)
    for value in (1, None, [1]):
        assert fast(value) == root(value)


def test_length_of_a_list_of_a_caller():
    def make(world):
        def grow(stack):
            if len(stack) < 4:
                stack.append(len(stack))
                grow(stack)

        def root(value):
            stack = [value]
            grow(stack)
            return stack, type(stack) is list

        return root

    both = same(make)
    both.check(1)
    both.fast = both.jit.speedup(both.jit.freeze(make(both.fast_world)), eager=True, strict=True)
    both.check(1)
