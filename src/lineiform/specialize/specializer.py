"""The rules of the walk: what each op becomes, given what is known.

The rules themselves stand in the modules named by theme (``operators``, ``callees``, ``inlining``, ``builtin_calls``,
``calls``, ``reads``, ``sequences``), each a class on top of the one before; here are the tables of ops.
"""

from __future__ import annotations

from collections.abc import Callable

from lineiform.ir.function import Op
from lineiform.specialize import generators, virtual_lists
from lineiform.specialize.engine import Activation
from lineiform.specialize.sequences import Sequences

Step = Callable[["Specializer", Activation, Op], None]


class Specializer(Sequences):
    """All rules, and the tables that say which op follows which."""

    def step(self, activation: Activation, op: Op) -> None:
        """Write what ``op`` becomes."""
        assert activation.instance is not None
        if activation.instance.generic:
            STEPS_GENERIC.get(op.spec.name, Specializer._plain)(self, activation, op)
        elif not virtual_lists.rule(activation, op):
            STEPS.get(op.spec.name, Specializer._plain)(self, activation, op)


STEPS: dict[str, Step] = {
    "py.const": Specializer._const,
    "py.unbound": Specializer._unbound,
    "py.bind": Specializer._bind,
    "py.kill": Specializer._bind,
    "py.release": Specializer._release,
    "py.check_bound": Specializer._check_bound,
    "py.free_cell": Specializer._free_cell,
    "py.load_cell": Specializer._load_cell,
    "py.load_global": Specializer._load_global,
    "py.store_global": Specializer._store_global,
    "py.delete_global": Specializer._store_global,
    "py.load_attr": Specializer._load_attr,
    "py.load_super_attr": Specializer._load_super_attr,
    "py.truth": Specializer._truth,
    "py.is": Specializer._is,
    "i1.not": Specializer._not,
    "py.from_i1": Specializer._from_i1,
    "py.binary": Specializer._fold,
    "py.unary": Specializer._fold,
    "py.compare": Specializer._fold,
    "py.contains": Specializer._contains,
    "py.subscr": Specializer._subscr,
    "py.build_tuple": Specializer._build_tuple,
    "py.get_iter": Specializer._get_iter,
    "py.unpack_sequence": Specializer._unpack,
    "py.call": Specializer._call,
    "py.call_ex": Specializer._call_ex,
    "py.make_function": generators.make_function,
    "py.make_cell": generators.make_cell,
}
"""What the fast mode does with an op; every other op is copied."""

STEPS_GENERIC: dict[str, Step] = {
    "py.const": Specializer._const,
    "py.unbound": Specializer._unbound,
    "py.bind": Specializer._bind,
    "py.kill": Specializer._bind,
    "py.release": Specializer._release,
    "py.check_bound": Specializer._check_bound,
    "py.free_cell": Specializer._free_cell,
    "py.make_cell": generators.make_cell,
    "py.make_function": generators.make_function,
    "py.load_cell": Specializer._load_cell,
    "py.load_global": Specializer._load_global_generic,
    "py.load_super_attr": Specializer._load_super_attr,
    "py.store_global": Specializer._store_global,
    "py.delete_global": Specializer._store_global,
    "py.truth": Specializer._truth,
    "py.from_i1": Specializer._from_i1,
}
