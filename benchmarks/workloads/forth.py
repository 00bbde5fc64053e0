"""The Forth example: a program with a counted loop, a conditional loop and a recursion.

The residual keeps the guest's stack in local variables, the guarded one keeps every push and pop, as must
whoever cannot rule out that somebody looks at the stack in between.
"""

from __future__ import annotations

from typing import Any

from examples.forth import MAIN, PROGRAM, Forth

from benchmarks.workload import EXAMPLE, Case, Workload


def _fib(n: Any) -> Any:
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


def residual() -> list[Any]:
    total = 0
    for index in range(0, 50):
        total = total + index * index
    number, steps = 27, 0
    while number > 1:
        if number % 2:
            number = number * 3 + 1
        else:
            number = number // 2
        steps = steps + 1
    return [total + (steps + _fib(10))]


def _fib_on_stack(stack: list[Any]) -> None:
    stack.append(stack[-1])
    stack.append(2)
    right = stack.pop()
    left = stack.pop()
    stack.append(left < right)
    if stack.pop():
        return
    stack.append(stack[-1])
    stack.append(1)
    right = stack.pop()
    left = stack.pop()
    stack.append(left - right)
    _fib_on_stack(stack)
    stack[-1], stack[-2] = stack[-2], stack[-1]
    stack.append(2)
    right = stack.pop()
    left = stack.pop()
    stack.append(left - right)
    _fib_on_stack(stack)
    right = stack.pop()
    left = stack.pop()
    stack.append(left + right)


def make_guarded() -> Any:
    def guarded() -> list[Any]:
        stack: list[Any] = []
        returns: list[Any] = []
        stack.append(50)
        stack.append(0)
        stack[-1], stack[-2] = stack[-2], stack[-1]
        stack.append(0)
        start = stack.pop()
        limit = stack.pop()
        for index in range(start, limit):
            returns.append(index)
            stack.append(returns[-1])
            stack.append(stack[-1])
            right = stack.pop()
            left = stack.pop()
            stack.append(left * right)
            right = stack.pop()
            left = stack.pop()
            stack.append(left + right)
            returns.pop()
        stack.append(27)
        stack.append(0)
        stack[-1], stack[-2] = stack[-2], stack[-1]
        while True:
            stack.append(stack[-1])
            stack.append(1)
            right = stack.pop()
            left = stack.pop()
            stack.append(left > right)
            if not stack.pop():
                break
            stack.append(stack[-1])
            stack.append(2)
            right = stack.pop()
            left = stack.pop()
            stack.append(left % right)
            if stack.pop():
                stack.append(3)
                right = stack.pop()
                left = stack.pop()
                stack.append(left * right)
                stack.append(1)
                right = stack.pop()
                left = stack.pop()
                stack.append(left + right)
            else:
                stack.append(2)
                right = stack.pop()
                left = stack.pop()
                stack.append(left // right)
            stack[-1], stack[-2] = stack[-2], stack[-1]
            stack.append(1)
            right = stack.pop()
            left = stack.pop()
            stack.append(left + right)
            stack[-1], stack[-2] = stack[-2], stack[-1]
        stack.pop()
        stack.append(10)
        _fib_on_stack(stack)
        right = stack.pop()
        left = stack.pop()
        stack.append(left + right)
        right = stack.pop()
        left = stack.pop()
        stack.append(left + right)
        return stack

    return guarded


def build() -> Case:
    program = Forth().compile(PROGRAM + MAIN)

    def drive(call: Any) -> list[Any]:
        return call()  # type: ignore[no-any-return]

    return Case(program, drive, 1, residual, make_guarded())


WORKLOAD = Workload("forth", EXAMPLE, "run", build)
