"""Rows for operations on objects: attributes, operators, calls, functions, imports, containers, patterns.

Operands come in a list in reverse order; ``spread`` hands them on one by one, moving each reference.
"""

from __future__ import annotations

import builtins
import operator
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, Final

from lineiform.ir.function import Op
from lineiform.ir.interpret import snippets
from lineiform.ir.interpret.exceptions import prepare_reraise_star
from lineiform.ir.interpret.frames import EVALUATORS, FRAME_READERS, add_namespaces
from lineiform.ir.interpret.isolation import BUILTINS
from lineiform.ir.interpret.machine import Activation, Defect, Row
from lineiform.ir.ops import BINARY_OPERATORS, COMPARE_OPERATORS, UNARY_OPERATORS

__builtins__ = BUILTINS

_SPREAD: Final[tuple[Callable[..., Any], ...]] = (
    lambda function, s: function(),
    lambda function, s: function(s.pop()),
    lambda function, s: function(s.pop(), s.pop()),
    lambda function, s: function(s.pop(), s.pop(), s.pop()),
    lambda function, s: function(s.pop(), s.pop(), s.pop(), s.pop()),
)


def spread(function: Callable[..., Any]) -> Row:
    """A row for an op that means ``function(*operands)``."""
    return lambda activation, op, operands: _SPREAD[len(operands)](function, operands)


def by_attribute(key: str, functions: dict[str, Callable[..., Any]]) -> Row:
    """A row for an op whose attribute ``key`` says which function it means."""
    return lambda activation, op, operands: _SPREAD[len(operands)](functions[op.attributes[key]], operands)


def in_order(function: Callable[[list[Any]], Any]) -> Row:
    """A row for an op that means ``function`` of the list of its operands."""

    def row(activation: Activation, op: Op, operands: list[Any]) -> Any:
        operands.reverse()
        return function(operands)

    return row


_OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    **{
        name: getattr(operator, name + "_" if name in ("and", "or", "is", "not") else name)
        for name in (*BINARY_OPERATORS, *COMPARE_OPERATORS)
    },
    "neg": operator.neg,
    "invert": operator.invert,
    "pos": operator.pos,
}
assert set(UNARY_OPERATORS) <= set(_OPERATORS)


# Attributes, subscripts, slices.


def _load_attr(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return getattr(operands.pop(), op.attributes["name"])


def _load_method(activation: Activation, op: Op, operands: list[Any]) -> Any:
    receiver = operands.pop()
    found = getattr(receiver, op.attributes["name"])
    if type(found) is not MethodType or found.__self__ is not receiver:
        raise UnboundLocalError(f"{op.attributes['name']!r} is not a method")
    return found.__func__


def _store_attr(activation: Activation, op: Op, operands: list[Any]) -> Any:
    value = operands.pop()
    setattr(operands.pop(), op.attributes["name"], value)


def _delete_attr(activation: Activation, op: Op, operands: list[Any]) -> Any:
    delattr(operands.pop(), op.attributes["name"])


def _load_super_attr(activation: Activation, op: Op, operands: list[Any]) -> Any:
    callee, owner, self = (operands.pop() for _ in range(3))
    if callee is super:
        if not op.attributes["two_arg"] and not isinstance(owner, type):
            raise RuntimeError(f"super(): __class__ is not a type ({type(owner).__name__})")
        return getattr(super(owner, self), op.attributes["name"])
    arguments = (owner, self) if op.attributes["two_arg"] else ()
    return getattr(callee(*arguments), op.attributes["name"])


def _store_subscr(value: Any, container: Any, key: Any) -> None:
    operator.setitem(container, key, value)


def _binary_slice(container: Any, start: Any, stop: Any) -> Any:
    return operator.getitem(container, slice(start, stop))


def _store_slice(value: Any, container: Any, start: Any, stop: Any) -> None:
    operator.setitem(container, slice(start, stop), value)


def _contains(activation: Activation, op: Op, operands: list[Any]) -> Any:
    item = operands.pop()
    return operator.contains(operands.pop(), item) != bool(op.attributes["invert"])


# Calls and functions.


def _call(activation: Activation, op: Op, operands: list[Any]) -> Any:
    names = op.attributes["kwnames"]
    if len(operands) == 1 and id(operands[0]) in FRAME_READERS:
        return FRAME_READERS[id(operands[0])](activation)
    if not names and id(operands[-1]) in EVALUATORS:
        add_namespaces(activation, operands)
    return activation.run_code(snippets.call(len(operands) - 1, tuple(names)), op, operands)


def _call_ex(activation: Activation, op: Op, operands: list[Any]) -> Any:
    code = snippets.CALL_EX_KEYWORDS if len(operands) == 3 else snippets.CALL_EX
    return activation.run_code(code, op, operands)


def _make_function(activation: Activation, op: Op, operands: list[Any]) -> Any:
    code = operands[0]
    flags = op.attributes["flags"]
    defaults, keyword_defaults, annotations, closure = (
        operands.pop() if flags & bit else None for bit in (1, 2, 4, 8)
    )
    function = FunctionType(code, activation.globals, code.co_name, defaults, closure)
    function.__kwdefaults__ = keyword_defaults
    if isinstance(annotations, tuple):
        annotations = dict(zip(annotations[::2], annotations[1::2], strict=True))
    if annotations is not None:
        function.__annotations__ = annotations
    return function


def _intrinsic(activation: Activation, op: Op, operands: list[Any]) -> Any:
    name = op.attributes["name"]
    if name == "prep_reraise_star":
        return prepare_reraise_star(operands.pop(), operands.pop())
    code = snippets.intrinsic(name, len(operands))
    if code is None:
        version = ".".join(map(str, sys.version_info[:2]))
        raise Defect(f"{activation.function.name}: Python {version} doesn't have the intrinsic {name!r}")
    return activation.run_code(code, op, operands)


# Imports.


def _load_build_class(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return _builtin(activation, "__build_class__", NameError("__build_class__ not found"))


def _import_name(activation: Activation, op: Op, operands: list[Any]) -> Any:
    level, fromlist = operands.pop(), operands.pop()
    function = _builtin(activation, "__import__", ImportError("__import__ not found"))
    return function(op.attributes["name"], activation.globals, None, fromlist, level)


def _builtin(activation: Activation, name: str, missing: Exception) -> Any:
    try:
        return activation.builtins[name]
    except KeyError:
        pass
    raise missing


def _import_from(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return snippets.import_from(operands.pop(), op.attributes["name"])


# Containers.


def _build_map(items: list[Any]) -> Any:
    result = {}
    for n in range(0, len(items), 2):
        result[items[n]] = items[n + 1]
    return result


def _build_const_key_map(items: list[Any]) -> Any:
    return _build_map([item for pair in zip(items.pop(), items, strict=True) for item in pair])


def _list_append(target: list[Any], item: Any) -> Any:
    list.append(target, item)
    return target


def _set_add(target: set[Any], item: Any) -> Any:
    set.add(target, item)
    return target


def _map_add(target: dict[Any, Any], key: Any, item: Any) -> Any:
    dict.__setitem__(target, key, item)
    return target


def _list_extend(activation: Activation, op: Op, operands: list[Any]) -> Any:
    target = operands.pop()
    list.extend(target, activation.run_code(snippets.MERGE_LIST, op, operands))
    return target


def _set_update(target: set[Any], iterable: Any) -> Any:
    set.update(target, iterable)
    return target


def _dict_update(activation: Activation, op: Op, operands: list[Any]) -> Any:
    target = operands.pop()
    dict.update(target, activation.run_code(snippets.MERGE_DICT, op, operands))
    return target


def _dict_merge(target: dict[Any, Any], mapping: Any, callee: Any) -> Any:
    """Add keywords to a call; the errors are those of DICT_MERGE."""
    try:
        if isinstance(mapping, dict) and type(mapping).__iter__ is dict.__iter__:
            keys, read = list(dict.keys(mapping)), dict.__getitem__
        else:
            keys, read = list(mapping.keys()), operator.getitem
        for key in keys:
            if key in target:
                raise KeyError(key)
            target[key] = read(mapping, key)
        return target
    except AttributeError:
        message = f"argument after ** must be a mapping, not {type(mapping).__name__}"
    except KeyError as error:
        if len(error.args) != 1:
            raise
        message = f"got multiple values for keyword argument '{error.args[0]}'"
    raise TypeError(f"{_callee_name(callee)} {message}")


def _callee_name(callee: Any) -> str:
    """How CPython names a callee in messages: ``_PyObject_FunctionStr``."""
    missing = object()
    name = getattr(callee, "__qualname__", missing)
    if name is missing:
        return str(callee)
    module = getattr(callee, "__module__", None)
    if module is not None and module != "builtins":
        return f"{module}.{name}()"
    return f"{name}()"


def _unpack_sequence(activation: Activation, op: Op, operands: list[Any]) -> Any:
    return activation.run_code(snippets.unpack(op.attributes["count"], None), op, operands)


def _unpack_ex(activation: Activation, op: Op, operands: list[Any]) -> Any:
    code = snippets.unpack(op.attributes["before"], op.attributes["after"])
    return activation.run_code(code, op, operands)


# Patterns.

_FLAGS: Final[Any] = type.__dict__["__flags__"]
_SEQUENCE_FLAG: Final = 1 << 5
_MAPPING_FLAG: Final = 1 << 6


def _has_flag(flag: int) -> Row:
    return lambda activation, op, operands: bool(_FLAGS.__get__(type(operands[0])) & flag)


def _match_class(activation: Activation, op: Op, operands: list[Any]) -> Any:
    names = operands.pop(0)
    return activation.run_code(snippets.match_class(op.attributes["count"], names), op, operands)


def _match_keys(subject: Any, keys: tuple[Any, ...]) -> Any:
    if not keys:
        return ()
    seen: set[Any] = set()
    get, missing, values = subject.get, object(), []
    for key in keys:
        if key in seen:
            raise ValueError(f"mapping pattern checks duplicate key ({key!r})")
        seen.add(key)
        value = get(key, missing)
        if value is missing:
            return None
        values.append(value)
    return tuple(values)


def _yield(activation: Activation, op: Op, operands: list[Any]) -> Any:
    raise Defect("a generator expression cannot be interpreted before it has a consumer")


ROWS: Final[dict[str, Row]] = {
    "py.load_attr": _load_attr,
    "py.load_method": _load_method,
    "py.store_attr": _store_attr,
    "py.delete_attr": _delete_attr,
    "py.load_super_attr": _load_super_attr,
    "py.subscr": spread(operator.getitem),
    "py.store_subscr": spread(_store_subscr),
    "py.delete_subscr": spread(operator.delitem),
    "py.binary_slice": spread(_binary_slice),
    "py.store_slice": spread(_store_slice),
    "py.build_slice": spread(slice),
    "py.unary": by_attribute("op", _OPERATORS),
    "py.binary": by_attribute("op", _OPERATORS),
    "py.compare": by_attribute("op", _OPERATORS),
    "py.contains": _contains,
    "py.call": _call,
    "py.call_ex": _call_ex,
    "py.yield": _yield,
    "py.intrinsic": _intrinsic,
    "py.make_function": _make_function,
    "py.load_assertion_error": lambda activation, op, operands: AssertionError,
    "py.load_build_class": _load_build_class,
    "py.import_name": _import_name,
    "py.import_from": _import_from,
    "py.build_tuple": in_order(tuple),
    "py.build_list": in_order(list),
    "py.build_set": in_order(set),
    "py.build_map": in_order(_build_map),
    "py.build_const_key_map": in_order(_build_const_key_map),
    "py.build_string": in_order("".join),
    "py.list_append": spread(_list_append),
    "py.set_add": spread(_set_add),
    "py.map_add": spread(_map_add),
    "py.list_extend": _list_extend,
    "py.set_update": spread(_set_update),
    "py.dict_update": _dict_update,
    "py.dict_merge": spread(_dict_merge),
    "py.list_to_tuple": spread(tuple),
    "py.unpack_sequence": _unpack_sequence,
    "py.unpack_ex": _unpack_ex,
    "py.get_iter": spread(iter),
    "py.get_len": spread(len),
    "py.convert": by_attribute("kind", {name: getattr(builtins, name) for name in ("str", "repr", "ascii")}),
    "py.format": spread(format),
    "py.match_class": _match_class,
    "py.match_mapping": _has_flag(_MAPPING_FLAG),
    "py.match_sequence": _has_flag(_SEQUENCE_FLAG),
    "py.match_keys": spread(_match_keys),
}
