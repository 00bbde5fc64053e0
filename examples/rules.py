"""A rule engine: rules written as data (JSON) become closures that test records, which are dicts.

Run it: python examples/rules.py
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from timeit import repeat
from typing import Any

Record = dict[str, Any]
Rule = Callable[[Record], bool]
Fetch = Callable[[Record], Any]

MISSING = object()
"""What fetching a field gives when the record does not have it."""


def field(path: str) -> Fetch:
    """Fetches a field, nested ones by a dotted path."""
    names = path.split(".")

    def fetch(record: Record) -> Any:
        value: Any = record
        try:
            for name in names:
                value = value[name]
        except (KeyError, TypeError):
            return MISSING
        return value

    return fetch


def all_of(rules: list[Rule]) -> Rule:
    return lambda record: all(rule(record) for rule in rules)


def any_of(rules: list[Rule]) -> Rule:
    return lambda record: any(rule(record) for rule in rules)


def none_of(rule: Rule) -> Rule:
    return lambda record: not rule(record)


def exists(fetch: Fetch) -> Rule:
    return lambda record: fetch(record) is not MISSING


def comparison(fetch: Fetch, compare: Callable[[Any, Any], bool], wanted: Any) -> Rule:
    """A missing field, or one of a type that does not compare, fails the test."""

    def test(record: Record) -> bool:
        value = fetch(record)
        if value is MISSING:
            return False
        try:
            return compare(value, wanted)
        except TypeError:
            return False

    return test


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, allowed: value in allowed,
    "contains": lambda values, wanted: wanted in values,
    "starts with": lambda text, prefix: text.startswith(prefix),
}


def compile_rule(spec: Any) -> Rule:
    """The closure for a rule: {"all": rules}, {"any": rules}, {"not": rule}, {"exists": path}, or a
    comparison [path, operator, value]. Raises ValueError for anything else."""
    if isinstance(spec, dict) and len(spec) == 1:
        ((kind, body),) = spec.items()
        if kind == "all":
            return all_of([compile_rule(part) for part in body])
        if kind == "any":
            return any_of([compile_rule(part) for part in body])
        if kind == "not":
            return none_of(compile_rule(body))
        if kind == "exists":
            return exists(field(body))
    if isinstance(spec, list) and len(spec) == 3:
        path, name, wanted = spec
        if name not in COMPARISONS:
            raise ValueError("unknown operator {!r}; known: {}".format(name, ", ".join(COMPARISONS)))
        return comparison(field(path), COMPARISONS[name], wanted)
    raise ValueError(f"not a rule: {spec!r}")


SHIPPING = {
    "all": [
        ["total", ">=", 20],
        ["total", "<", 5000],
        ["weight", "<=", 30],
        ["items", "<", 12],
        {"not": ["status", "==", "blocked"]},
        {"not": {"all": [["kind", "==", "gift"], ["total", "<", 30]]}},
        {
            "any": [
                {"all": [["customer.country", "==", "FR"], ["total", ">=", 50]]},
                ["customer.country", "in", ["DE", "AT", "CH", "NL"]],
            ]
        },
        {
            "any": [
                ["express", "==", True],
                ["customer.zip", "starts with", "10"],
                {"all": [{"exists": "coupon"}, ["items", "<", 5]]},
            ]
        },
    ]
}
"""Which orders ship free of charge."""


def make_orders(count: int) -> list[Record]:
    """Orders of every kind; some lack a field."""
    orders: list[Record] = []
    for number in range(count):
        customer: Record = {"country": ["DE", "AT", "CH", "NL", "FR"][number % 5]}
        customer["zip"] = "80331" if number % 4 else "10115"
        order: Record = {"total": 10 + number * 7 % 290, "items": number % 13, "weight": number % 32}
        order["customer"], order["kind"] = customer, "gift" if number % 3 == 0 else "order"
        order["status"], order["express"] = "blocked" if number % 17 == 0 else "active", number % 6 == 0
        order["coupon"] = "WELCOME"
        if number % 20 == 19:
            del order["coupon"], order["weight"]
        orders.append(order)
    return orders


def main() -> None:
    import lineiform

    rule = compile_rule(SHIPPING)
    orders = make_orders(200)
    expected = [rule(order) for order in orders]
    print(f"{sum(expected)} of {len(orders)} orders ship free")

    def seconds(rule: Rule) -> float:
        return min(repeat(lambda: [rule(order) for order in orders], number=10, repeat=5))

    slow = seconds(rule)
    jit = lineiform.Lineiform()
    fast = jit.speedup(rule, eager=True)
    frozen = jit.speedup(jit.freeze(compile_rule(SHIPPING)), eager=True)
    for name, version in (("speedup", fast), ("speedup of a frozen rule", frozen)):
        assert [version(order) for order in orders] == expected
        print(f"{name}: {slow / seconds(version):.1f} times faster")


if __name__ == "__main__":
    main()
