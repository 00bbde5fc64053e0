"""validr: a nested record (a dict with strings, numbers, a list and an inner dict) through its validators.

validr prefers its compiled extension; declaring that module as absent before the import makes the unmodified
package take its own pure-Python path. The user wraps the function that `Compiler().compile(schema)` returns.
"""

from __future__ import annotations

import sys
from typing import Any

if "validr" not in sys.modules:
    sys.modules["validr._validator_c"] = None  # type: ignore[assignment]

import validr  # noqa: E402
from validr import Compiler, T  # noqa: E402
from validr import _validator_py as pure  # noqa: E402

from benchmarks.workload import PACKAGE, Case, Workload  # noqa: E402

if validr.Invalid is not pure.Invalid:
    raise ImportError("validr was imported with its compiled extension; its pure-Python path is measured")

Invalid = pure.Invalid

SCHEMA = T.dict(
    id=T.int.min(1),
    name=T.str.minlen(1).maxlen(40),
    age=T.int.min(0).max(150).optional,
    active=T.bool,
    score=T.float.default(1.0),
    tags=T.list(T.str.maxlen(16)).maxlen(8),
    address=T.dict(street=T.str, city=T.str.maxlen(32), zip=T.str.minlen(5).maxlen(5)),
)

RECORDS: list[Any] = [
    {
        "id": number + 1,
        "name": f"user {number}",
        "age": None if number % 4 == 3 else str(20 + number),
        "active": number % 2 == 0,
        "score": None if number % 3 == 0 else number / 7,
        "tags": ["alpha", "beta", "gamma"][: number % 4],
        "address": {"street": f"Long Road {number}", "city": "Berlin", "zip": "10115"},
    }
    for number in range(15)
]
RECORDS.append({"id": 99, "name": "broken", "active": True, "tags": [], "address": {"street": ""}})


def is_dict(value: Any) -> bool:
    return hasattr(value, "__getitem__") and hasattr(value, "get")


def failed(message: str, marks: list[Any], value: Any) -> Exception:
    """What a failing field raises: the innermost validator sets the value, each enclosing one its mark."""
    error = Invalid(message)
    error.set_value(value)
    for mark in marks:
        error.mark_key(mark) if isinstance(mark, str) else error.mark_index(mark)
    return error


def residual(value: Any) -> Any:
    if value is None:
        raise failed("required", [], value)
    plain = is_dict(value)
    result = {}

    field = value.get("id", None) if plain else getattr(value, "id", None)
    if field is None or field == "":
        raise failed("required", ["id"], field)
    try:
        v: Any = int(field)
    except Exception:
        raise failed("invalid int", ["id"], field) from None
    if v < 1:
        raise failed("value must >= 1", ["id"], field)
    if v > 18446744073709551615:
        raise failed("value must <= 18446744073709551615", ["id"], field)
    result["id"] = v

    field = value.get("name", None) if plain else getattr(value, "name", None)
    if field is None or field == "":
        raise failed("required", ["name"], field)
    v = field
    if not isinstance(v, str):
        if not isinstance(v, int):
            raise failed("invalid string", ["name"], field)
        v = str(v)
    length = len(v)
    if length < 1:
        raise failed("string length must >= 1", ["name"], field)
    if length > 40:
        raise failed("string length must <= 40", ["name"], field)
    if v is None or v == "":
        raise failed("required", ["name"], field)
    result["name"] = v

    field = value.get("age", None) if plain else getattr(value, "age", None)
    if field is None or field == "":
        result["age"] = None
    else:
        try:
            v = int(field)
        except Exception:
            raise failed("invalid int", ["age"], field) from None
        if v < 0:
            raise failed("value must >= 0", ["age"], field)
        if v > 150:
            raise failed("value must <= 150", ["age"], field)
        result["age"] = v

    field = value.get("active", None) if plain else getattr(value, "active", None)
    if field is None or field == "":
        raise failed("required", ["active"], field)
    if field in TRUE_VALUES:
        result["active"] = True
    elif field in FALSE_VALUES:
        result["active"] = False
    else:
        raise failed("invalid bool", ["active"], field)

    field = value.get("score", None) if plain else getattr(value, "score", None)
    if field is None or field == "":
        result["score"] = 1.0
    else:
        try:
            v = float(field)
        except Exception:
            raise failed("invalid float", ["score"], field) from None
        if v < -1.7976931348623157e308:
            raise failed(f"value must >= {int(-1.7976931348623157e308)}", ["score"], field)
        if v > 1.7976931348623157e308:
            raise failed(f"value must <= {int(1.7976931348623157e308)}", ["score"], field)
        result["score"] = v

    field = value.get("tags", None) if plain else getattr(value, "tags", None)
    if field is None:
        raise failed("required", ["tags"], field)
    try:
        items = enumerate(field)
    except TypeError:
        raise failed("not list", ["tags"], field)  # noqa: B904
    tags = []
    for i, item in items:
        if i >= 8:
            raise failed("list length must <= 8", ["tags"], field)
        if item is None or item == "":
            raise failed("required", [i, "tags"], item)
        v = item
        if not isinstance(v, str):
            if not isinstance(v, int):
                raise failed("invalid string", [i, "tags"], item)
            v = str(v)
        length = len(v)
        if length < 0:
            raise failed("string length must >= 0", [i, "tags"], item)
        if length > 16:
            raise failed("string length must <= 16", [i, "tags"], item)
        if v is None or v == "":
            raise failed("required", [i, "tags"], item)
        tags.append(v)
    result["tags"] = tags

    inner = value.get("address", None) if plain else getattr(value, "address", None)
    if inner is None:
        raise failed("required", ["address"], inner)
    plain = is_dict(inner)
    address = {}

    field = inner.get("street", None) if plain else getattr(inner, "street", None)
    if field is None or field == "":
        raise failed("required", ["street", "address"], field)
    v = field
    if not isinstance(v, str):
        if not isinstance(v, int):
            raise failed("invalid string", ["street", "address"], field)
        v = str(v)
    length = len(v)
    if length < 0:
        raise failed("string length must >= 0", ["street", "address"], field)
    if length > 1048576:
        raise failed("string length must <= 1048576", ["street", "address"], field)
    if v is None or v == "":
        raise failed("required", ["street", "address"], field)
    address["street"] = v

    field = inner.get("city", None) if plain else getattr(inner, "city", None)
    if field is None or field == "":
        raise failed("required", ["city", "address"], field)
    v = field
    if not isinstance(v, str):
        if not isinstance(v, int):
            raise failed("invalid string", ["city", "address"], field)
        v = str(v)
    length = len(v)
    if length < 0:
        raise failed("string length must >= 0", ["city", "address"], field)
    if length > 32:
        raise failed("string length must <= 32", ["city", "address"], field)
    if v is None or v == "":
        raise failed("required", ["city", "address"], field)
    address["city"] = v

    field = inner.get("zip", None) if plain else getattr(inner, "zip", None)
    if field is None or field == "":
        raise failed("required", ["zip", "address"], field)
    v = field
    if not isinstance(v, str):
        if not isinstance(v, int):
            raise failed("invalid string", ["zip", "address"], field)
        v = str(v)
    length = len(v)
    if length < 5:
        raise failed("string length must >= 5", ["zip", "address"], field)
    if length > 5:
        raise failed("string length must <= 5", ["zip", "address"], field)
    if v is None or v == "":
        raise failed("required", ["zip", "address"], field)
    address["zip"] = v

    result["address"] = address
    return result


TRUE_VALUES = pure._TRUE_VALUES
FALSE_VALUES = pure._FALSE_VALUES


def inners_of(validate: Any) -> list[Any]:
    """The list of (name, validator) pairs that a dict validator walks along."""
    while True:
        cells = dict(zip(validate.__code__.co_freevars, validate.__closure__))
        if "inners" in cells:
            inners: list[Any] = cells["inners"].cell_contents
            return inners
        validate = cells["_m_validate" if "_m_validate" in cells else "validate"].cell_contents


def make_guarded(original: Any) -> Any:
    """The residual behind checks of the two lists of fields, which are all that can change unnoticed."""
    outer = inners_of(original)
    o1, o2, o3, o4, o5, o6, o7 = outer
    inner = inners_of(o7[1])
    i1, i2, i3 = inner

    def guarded(value: Any) -> Any:
        if (
            len(outer) != 7
            or outer[0] is not o1
            or outer[1] is not o2
            or outer[2] is not o3
            or outer[3] is not o4
            or outer[4] is not o5
            or outer[5] is not o6
            or outer[6] is not o7
            or len(inner) != 3
            or inner[0] is not i1
            or inner[1] is not i2
            or inner[2] is not i3
        ):
            return original(value)
        return residual(value)

    return guarded


def build() -> Case:
    validate = Compiler().compile(SCHEMA)

    def drive(call: Any) -> list[Any]:
        results: list[Any] = []
        for record in RECORDS:
            try:
                results.append(call(record))
            except Invalid as error:
                results.append((error.message, error.position))
        return results

    return Case(validate, drive, len(RECORDS), residual, make_guarded(validate))


WORKLOAD = Workload("validr", PACKAGE, "record", build, distributions=("validr",))
