"""jsonschema: a record against a schema of nine keywords.

Not closures but generators: every keyword is a generator function that yields errors. It stands for what lies
outside the design; here the speedup must only not lose. The user wraps the bound method `validator.is_valid`.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from benchmarks.workload import PACKAGE, Case, Workload

SCHEMA = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "name": {"type": "string", "minLength": 1, "maxLength": 40},
        "tags": {"type": "array", "items": {"type": "string"}},
        "role": {"enum": ["admin", "user"]},
    },
    "additionalProperties": False,
}
RECORDS: list[Any] = [
    {"id": number, "name": f"user {number}", "tags": ["a", "b", "c"][: number % 4], "role": "user"}
    for number in range(8)
]


def residual(instance: Any) -> bool:
    if not isinstance(instance, dict):
        return False
    for required in ("id", "name"):
        if required not in instance:
            return False
    if "id" in instance:
        field = instance["id"]
        if (
            isinstance(field, bool)
            or not isinstance(field, int)
            and not (isinstance(field, float) and field.is_integer())
        ):
            return False
        if field < 1:
            return False
    if "name" in instance:
        field = instance["name"]
        if not isinstance(field, str) or len(field) < 1 or len(field) > 40:
            return False
    if "tags" in instance:
        field = instance["tags"]
        if not isinstance(field, list):
            return False
        for item in field:
            if not isinstance(item, str):
                return False
    if "role" in instance and instance["role"] not in ("admin", "user"):
        return False
    for name in instance:
        if name not in ("id", "name", "tags", "role"):
            return False
    return True


def build() -> Case:
    validator = Draft202012Validator(SCHEMA)

    def drive(call: Any) -> list[bool]:
        return [call(record) for record in RECORDS]

    return Case(validator.is_valid, drive, len(RECORDS), residual)


WORKLOAD = Workload(
    "jsonschema",
    PACKAGE,
    "record",
    build,
    distributions=("jsonschema",),
    in_mean=False,
    pypy="needs rpds-py, an extension module",
)
