"""What compiled code keeps alive, and that it lets go of it."""

import gc
import sys
import weakref

import pytest

from lineiform import Budget, Lineiform


def a_jit(**options):
    return Lineiform(background=False, budget=Budget(measured_calls=0), **options)


class Node:
    pass


def in_a_cycle(jit, number):
    """A closure that reaches itself through the object that holds its sped-up form."""
    node = Node()

    def inner(value):
        return node.fast if value is None else value + number

    node.fast = jit.speedup(lambda value: inner(value), eager=True, strict=True)
    return node


def test_a_cycle_through_compiled_code_is_collected():
    jit = a_jit()
    node = in_a_cycle(jit, 3)
    assert node.fast(4) == 7 and node.fast(None) is node.fast
    watched, function = weakref.ref(node), weakref.ref(node.fast.__wrapped__)
    del node
    gc.collect()
    assert watched() is None and function() is None


def test_a_cycle_through_a_module_is_collected():
    jit = a_jit()
    namespace = {"jit": jit, "Node": Node}
    exec(
        "node = Node()\n"
        "def inner(key): return node.table[key]\n"
        "def outer(key): return inner(key)\n"
        "node.table = {1: 'one'}\n"
        "fast = jit.speedup(outer, eager=True, strict=True)\n",
        namespace,
    )
    assert namespace["fast"](1) == "one"
    with pytest.raises(KeyError):
        namespace["fast"](2)
    watched = weakref.ref(namespace["node"])
    del namespace
    gc.collect()
    assert watched() is None


def test_objects_die_with_the_last_reference_to_the_entry():
    """Without a cycle no collector is needed."""
    jit = a_jit()

    def make():
        node = Node()
        node.value = 5
        return (lambda value: node.value + value), weakref.ref(node)

    function, watched = make()
    fast = jit.speedup(function, eager=True, strict=True)
    assert fast(1) == 6
    gc.disable()
    try:
        del function, fast
        assert watched() is None
    finally:
        gc.enable()


def plain(node):
    return lambda value: node.value + value


def looking_at_frames(node):
    def name():
        return sys._getframe(1).f_code.co_name

    def inner():
        return name()

    return lambda value: node.value + value + len(inner())


def with_a_list(node):
    def push(stack, item):
        stack.append(item)
        return stack if item is None else None

    def root(value):
        stack = [node.value]
        push(stack, value)
        if value == 3:
            push(stack, None)
        return stack.pop() + stack.pop()

    return root


@pytest.mark.parametrize("maker", [plain, looking_at_frames, with_a_list])
@pytest.mark.parametrize("seconds", [0, 600])
def test_a_compilation_leaves_no_cycle_behind(maker, seconds):
    """Whether it was walked once, walked again for what was found out meanwhile, or given up."""
    jit = Lineiform(background=False, budget=Budget(measured_calls=0, compile_seconds=seconds))
    node = Node()
    node.value = 5
    function = maker(node)
    plainly = function(1)
    watched = weakref.ref(node)
    gc.disable()
    try:
        fast = jit.speedup(function, eager=True)
        assert fast(1) == plainly
        del function, fast, node
        assert watched() is None
    finally:
        gc.enable()


def test_a_function_made_in_compiled_code_closes_over_the_same_cell():
    """A constant cell as an operand."""
    jit = a_jit()

    def make():
        count = 0

        def bump():
            nonlocal count
            count += 1
            return count

        def root():
            bump()
            return lambda: count

        return root, bump

    root, bump = make()
    fast = jit.speedup(root, eager=True, strict=True)
    read = fast()
    assert read() == 1
    bump()
    assert read() == 2
    assert read.__closure__[0] is bump.__closure__[0]
