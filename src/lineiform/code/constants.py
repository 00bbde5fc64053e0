"""Which constants may stand in a code object.

The garbage collector does not look into code objects: an object there that leads back to the function would
never die.  So only what is immortal, or cannot refer to anything of the program, stands there; all else stands
in cells of the function.  Never runs user code: types are compared by identity.
"""

from __future__ import annotations

from types import BuiltinFunctionType, CodeType, MethodDescriptorType, ModuleType, WrapperDescriptorType

from lineiform.assumptions import raw

ATOMS = (int, float, complex, bool, str, bytes, type(None), type(...), range, CodeType, raw.Absent)
_CONTAINERS = (tuple, frozenset)
_OF_TYPES = (MethodDescriptorType, WrapperDescriptorType)


def stands_in_code(value: object) -> bool:
    """Whether a constant may stand in a code object."""
    kind = type(value)
    if any(kind is atom for atom in ATOMS):
        return True
    if any(kind is container for container in _CONTAINERS):
        return all(map(stands_in_code, value))  # type: ignore[call-overload]
    if raw.is_type(value):
        return raw.is_immutable_type(value)  # type: ignore[arg-type]
    if kind is BuiltinFunctionType:
        owner = raw.builtin_parts(value)[1]  # type: ignore[arg-type]
        return owner is None or type(owner) is ModuleType
    return any(kind is descriptor for descriptor in _OF_TYPES) and raw.is_immutable_type(
        value.__objclass__  # type: ignore[attr-defined]
    )
