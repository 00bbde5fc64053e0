"""voluptuous: a nested record through a schema with required and optional keys, ranges, lengths and a list.

The user wraps the `Schema` object, whose `__call__` enters a tree of closures and callable validators. Which
closure validates a field is looked up by the key found in the data.
"""

from __future__ import annotations

from typing import Any

from voluptuous import All, Coerce, In, Length, MultipleInvalid, Optional, Range, Required, Schema

from benchmarks.workload import PACKAGE, Case, Workload

ROLES = ["admin", "user", "guest"]


def make_schema() -> Any:
    return Schema(
        {
            Required("id"): All(int, Range(min=1)),
            Required("name"): All(str, Length(min=1, max=40)),
            Optional("age"): All(Coerce(int), Range(min=0, max=150)),
            Required("role"): In(ROLES),
            Optional("active", default=True): bool,
            "tags": [All(str, Length(max=16))],
            Required("address"): {Required("city"): str, Optional("zip"): All(str, Length(min=5, max=5))},
        }
    )


def make_records() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for number in range(31):
        record: dict[str, Any] = {"id": number + 1, "name": f"user {number}", "role": ROLES[number % 3]}
        if number % 4:
            record["age"] = str(20 + number)
        if number % 3:
            record["active"] = False
        record["tags"] = ["alpha", "beta", "gamma"][: number % 4]
        record["address"] = {"city": "Berlin", "zip": "10115"} if number % 2 else {"city": "Paris"}
        records.append(record)
    records.append({"id": 0, "name": "", "role": "root", "tags": [], "address": {}})
    return records


def make_residual(original: Any) -> Any:
    """Everything on the way of a valid record inlined; a record with any error starts again in the original,
    which collects all the errors."""

    def residual(data: Any) -> Any:
        if not isinstance(data, dict):
            return original(data)
        out = data.__class__()
        fields = type(out)()
        for key, value in data.items():
            fields[key] = value
        if "active" not in fields:
            fields["active"] = True
        required = 4
        for key, value in fields.items():
            if key == "id":
                if not isinstance(value, int) or not value >= 1:
                    return original(data)
                required -= 1
            elif key == "name":
                if not isinstance(value, str) or len(value) < 1 or len(value) > 40:
                    return original(data)
                required -= 1
            elif key == "role":
                if value not in ROLES:
                    return original(data)
                required -= 1
            elif key == "tags":
                if not isinstance(value, list):
                    return original(data)
                items = []
                for item in value:
                    if not isinstance(item, str) or len(item) > 16:
                        return original(data)
                    items.append(item)
                value = type(value)(items)
            elif key == "address":
                if not isinstance(value, dict):
                    return original(data)
                address = value.__class__()
                inner = type(address)()
                for name, entry in value.items():
                    inner[name] = entry
                missing = 1
                for name, entry in inner.items():
                    if name == "city":
                        if not isinstance(entry, str):
                            return original(data)
                        missing -= 1
                    elif name == "zip":
                        if not isinstance(entry, str) or len(entry) < 5 or len(entry) > 5:
                            return original(data)
                    else:
                        return original(data)
                    address[name] = entry
                if missing:
                    return original(data)
                value = address
                required -= 1
            elif key == "active":
                if not isinstance(value, bool):
                    return original(data)
            elif key == "age":
                try:
                    value = int(value)
                except (ValueError, TypeError):
                    return original(data)
                if not value >= 0 or not value <= 150:
                    return original(data)
            else:
                return original(data)
            out[key] = value
        if required:
            return original(data)
        return out

    return residual


def build() -> Case:
    schema = make_schema()
    records = make_records()

    def drive(call: Any) -> list[Any]:
        results: list[Any] = []
        for record in records:
            try:
                results.append(call(record))
            except MultipleInvalid as error:
                results.append(sorted(map(str, error.errors)))
        return results

    return Case(schema, drive, len(records), make_residual(schema))


WORKLOAD = Workload("voluptuous", PACKAGE, "record", build, distributions=("voluptuous",))
