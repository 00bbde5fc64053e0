"""The rewrites behind the planted faults: each changes one node of a syntax tree as a mistake would.

A rewrite gets a node whose children are done and returns the node (or list of statements) to put in its
place, or the node itself where it does not apply.  What is wrong about each stands in the table of `faults`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

Rewrite = Callable[[ast.AST], Any]


def _name(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def _call(function: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.parse(function, mode="eval").body, list(arguments), [])


def _stores(node: ast.AST) -> bool:
    return not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def _effects(node: ast.AST) -> bool:
    return any(isinstance(inner, (ast.Call, ast.NamedExpr)) for inner in ast.walk(node))


def _is(node: ast.AST, kind: Any, *operators: Any) -> bool:
    return isinstance(node, kind) and (not operators or isinstance(node.op, operators))


# ---- rewrites, in the order of the table


def swap_operands(node: Any) -> Any:
    if _is(node, ast.BinOp, ast.Sub):
        node.left, node.right = node.right, node.left
        return ast.BinOp(node.left, node.op, node.right)
    return node


def swap_evaluation(node: Any) -> Any:
    if _is(node, ast.BinOp, ast.Add, ast.BitXor) and _effects(node.left) and _effects(node.right):
        return ast.Subscript(
            ast.Tuple([ast.NamedExpr(ast.Name("_t", ast.Store()), node.right),
                       ast.BinOp(node.left, node.op, _name("_t"))], ast.Load()),
            ast.Constant(1), ast.Load(),
        )  # fmt: skip
    return node


def arguments_from_the_right(node: Any) -> Any:
    if isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords and all(map(_effects, node.args)):
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            return node
        call = ast.Call(node.func, [node.args[0], _name("_t")], [])
        return ast.Subscript(
            ast.Tuple([ast.NamedExpr(ast.Name("_t", ast.Store()), node.args[1]), call], ast.Load()),
            ast.Constant(1), ast.Load(),
        )  # fmt: skip
    return node


def keywords_reversed(node: Any) -> Any:
    if isinstance(node, ast.Call) and len(node.keywords) > 1:
        return ast.Call(node.func, node.args, node.keywords[::-1])
    return node


def chain_loses_its_end(node: Any) -> Any:
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        return ast.Compare(node.left, node.ops[:-1], node.comparators[:-1])
    return node


def chain_without_short_cut(node: Any) -> Any:
    if isinstance(node, ast.Compare) and len(node.ops) == 2 and _effects(node.comparators[1]):
        first = ast.Compare(node.left, node.ops[:1], [ast.NamedExpr(ast.Name("_m", ast.Store()), node.comparators[0])])
        second = ast.Compare(_name("_m"), node.ops[1:], node.comparators[1:])
        return ast.BinOp(first, ast.BitAnd(), second)
    return node


def chain_evaluates_the_middle_twice(node: Any) -> Any:
    if isinstance(node, ast.Compare) and len(node.ops) == 2 and _effects(node.comparators[0]):
        return ast.BoolOp(ast.And(), [
            ast.Compare(node.left, node.ops[:1], node.comparators[:1]),
            ast.Compare(node.comparators[0], node.ops[1:], node.comparators[1:]),
        ])  # fmt: skip
    return node


def short_cut_gives_bool(node: Any) -> Any:
    return _call("True.__class__", node) if isinstance(node, ast.BoolOp) else node


def short_cut_lost(node: Any) -> Any:
    if isinstance(node, ast.BoolOp) and len(node.values) == 2 and _effects(node.values[1]):
        pair = ast.Tuple([ast.NamedExpr(ast.Name("_l", ast.Store()), node.values[0]),
                          ast.NamedExpr(ast.Name("_r", ast.Store()), node.values[1]),
                          ast.BoolOp(node.op, [_name("_l"), _name("_r")])], ast.Load())  # fmt: skip
        return ast.Subscript(pair, ast.Constant(2), ast.Load())
    return node


def truth_asked_twice(node: Any) -> Any:
    if isinstance(node, ast.If) and isinstance(node.test, (ast.Name, ast.Call)):
        name = "_c"
        test = ast.BoolOp(ast.And(), [ast.NamedExpr(ast.Name(name, ast.Store()), node.test), _name(name)])
        return ast.If(test, node.body, node.orelse)
    return node


def conditional_evaluates_both(node: Any) -> Any:
    if isinstance(node, ast.IfExp) and _effects(node.body):
        both = ast.Tuple([ast.NamedExpr(ast.Name("_y", ast.Store()), node.body),
                          ast.IfExp(node.test, _name("_y"), node.orelse)], ast.Load())  # fmt: skip
        return ast.Subscript(both, ast.Constant(1), ast.Load())
    return node


def delete_dropped(node: Any) -> Any:
    if isinstance(node, ast.Delete) and isinstance(node.targets[0], ast.Name):
        return ast.Pass()
    return node


def delete_keeps_the_object(node: Any) -> Any:
    if isinstance(node, ast.Delete) and isinstance(node.targets[0], ast.Name):
        return [
            ast.Assign([ast.Name("_kept", ast.Store())], _name(node.targets[0].id), lineno=node.lineno),
            node,
        ]
    return node


def rebinding_keeps_the_object(node: Any) -> Any:
    if isinstance(node, ast.FunctionDef):
        stores = [inner for inner in node.body if isinstance(inner, ast.Assign)]
        if len(stores) > 1:
            body: list[ast.stmt] = []
            for inner in node.body:
                body.append(inner)
                if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                    keep = ast.Assign([ast.Name(f"_kept{len(body)}", ast.Store())], _name(inner.targets[0].id))
                    body.append(ast.copy_location(keep, inner))
            node.body = body
            return ast.FunctionDef(**dict(ast.iter_fields(node)))
    return node


def local_dies_early(node: Any) -> Any:
    if isinstance(node, ast.FunctionDef):
        for at, inner in enumerate(node.body):
            if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                name = inner.targets[0].id
                rest = node.body[at + 1 :]
                if (
                    rest
                    and not any(isinstance(x, ast.Name) and x.id == name for r in rest for x in ast.walk(r))
                    and (not any(isinstance(x, (ast.Nonlocal, ast.Global)) and name in x.names for x in ast.walk(node)))
                ):
                    dead = ast.copy_location(ast.Delete([ast.Name(name, ast.Del())]), inner)
                    node.body.insert(at + 1, dead)
                    return ast.FunctionDef(**dict(ast.iter_fields(node)))
    return node


def context_lost(node: Any) -> Any:
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.cause is None:
        text = "try:\n  pass\nexcept BaseException as _x:\n  _x.__context__ = None\n  raise"
        wrapped = ast.parse(text).body[0]
        for inner in ast.walk(wrapped):
            if hasattr(inner, "lineno"):
                ast.copy_location(inner, node)
        wrapped.body = [node]  # type: ignore[attr-defined]
        return [wrapped]
    return node


def cause_lost(node: Any) -> Any:
    return ast.Raise(node.exc, None) if isinstance(node, ast.Raise) and node.cause is not None else node


def suppression_lost(node: Any) -> Any:
    if isinstance(node, ast.Raise) and isinstance(node.cause, ast.Constant) and node.cause.value is None:
        return ast.Raise(node.exc, None)
    return node


def bare_raise_as_raise(node: Any) -> Any:
    if isinstance(node, ast.ExceptHandler) and node.name:
        changed = False
        for at, inner in enumerate(node.body):
            if isinstance(inner, ast.Raise) and inner.exc is None:
                node.body[at] = ast.copy_location(ast.Raise(_name(node.name), None), inner)
                changed = True
        if changed:
            return ast.ExceptHandler(node.type, node.name, node.body)
    return node


def exception_variable_kept(node: Any) -> Any:
    if isinstance(node, ast.ExceptHandler) and node.name:
        keep = ast.copy_location(ast.Assign([ast.Name(node.name, ast.Store())], _name("_x")), node.body[0])
        return ast.ExceptHandler(node.type, "_x", [keep, *node.body])
    return node


def handler_state_kept(node: Any) -> Any:
    for name in ("body", "orelse"):
        body = getattr(node, name, None)
        if not isinstance(body, list) or isinstance(node, (ast.Module, ast.ClassDef, ast.Lambda)):
            continue
        for at, inner in enumerate(body[:-1]):
            if isinstance(inner, ast.Try) and inner.handlers and not inner.finalbody and not inner.orelse:
                rest = body[at + 1 :]
                inner.orelse = rest
                for handler in inner.handlers:
                    handler.body = handler.body + rest
                setattr(node, name, body[: at + 1])
                return type(node)(**dict(ast.iter_fields(node)))
    return node


def else_inside_try(node: Any) -> Any:
    if isinstance(node, ast.Try) and node.orelse and node.handlers:
        return ast.Try(node.body + node.orelse, node.handlers, [], node.finalbody)
    return node


def finally_skipped_without_exception(node: Any) -> Any:
    if (
        isinstance(node, ast.Try)
        and node.finalbody
        and not any(
            isinstance(inner, (ast.Break, ast.Continue, ast.Return)) for s in node.finalbody for inner in ast.walk(s)
        )
    ):
        handler = ast.ExceptHandler(_name("BaseException"), None, [*node.finalbody, ast.Raise()])
        inner = node.body if not node.handlers else [ast.Try(node.body, node.handlers, node.orelse, [])]
        return ast.Try(inner, [handler], [], [])
    return node


def return_in_finally_lost(node: Any) -> Any:
    if isinstance(node, ast.Try) and node.finalbody and isinstance(node.finalbody[-1], ast.Return):
        value = node.finalbody[-1].value or ast.Constant(None)
        return ast.Try(node.body, node.handlers, node.orelse, [*node.finalbody[:-1], ast.Expr(value)])
    return node


def handlers_in_wrong_order(node: Any) -> Any:
    if isinstance(node, ast.Try) and len(node.handlers) > 1:
        return ast.Try(node.body, node.handlers[::-1], node.orelse, node.finalbody)
    return node


def with_hides_the_exception(node: Any) -> Any:
    if isinstance(node, ast.With) and len(node.items) == 1:
        text = "_m = None\n_v = _m.__enter__()\ntry:\n  pass\nfinally:\n  _m.__exit__(None, None, None)"
        lines = ast.parse(text).body
        for line in lines:
            for inner in ast.walk(line):
                if hasattr(inner, "lineno"):
                    ast.copy_location(inner, node)
        lines[0].value = node.items[0].context_expr  # type: ignore[attr-defined]
        target = node.items[0].optional_vars
        bind: list[ast.stmt] = [ast.Assign([target], _name("_v"))] if target is not None else []
        lines[2].body = bind + node.body  # type: ignore[attr-defined]
        return lines
    return node


def managers_in_wrong_order(node: Any) -> Any:
    if isinstance(node, ast.With) and len(node.items) > 1:
        return ast.With(node.items[::-1], node.body)
    return node


def loop_else_after_break(node: Any) -> Any:
    if isinstance(node, (ast.For, ast.While)) and node.orelse:
        rest, node.orelse = node.orelse, []
        return [node, *rest]
    return node


def loop_else_lost(node: Any) -> Any:
    if isinstance(node, (ast.For, ast.While)) and node.orelse:
        return type(node)(**{**dict(ast.iter_fields(node)), "orelse": []})
    return node


def iterable_copied(node: Any) -> Any:
    if isinstance(node, ast.For):
        return ast.For(node.target, _call("[].__class__", node.iter), node.body, node.orelse)
    return node


def quantifier_without_short_cut(node: Any) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("any", "all", "next"):
        if node.args and isinstance(node.args[0], ast.GeneratorExp):
            inner = node.args[0]
            return ast.Call(node.func, [_call("iter", ast.ListComp(inner.elt, inner.generators)), *node.args[1:]], [])
    return node


def sum_from_the_right(node: Any) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sum" and node.args:
        return ast.Call(node.func, [ast.Subscript(_call("[].__class__", node.args[0]),
                                                  ast.Slice(None, None, ast.Constant(-1)), ast.Load()),
                                    *node.args[1:]], [])  # fmt: skip
    return node


def comprehension_condition_lost(node: Any) -> Any:
    if isinstance(node, ast.comprehension) and node.ifs:
        return ast.comprehension(node.target, node.iter, [], 0)
    return node


def comprehension_variable_leaks(node: Any) -> Any:
    if isinstance(node, ast.ListComp) and len(node.generators) == 1 and isinstance(node.generators[0].target, ast.Name):
        name = node.generators[0].target.id
        loop = ast.comprehension(ast.Name("_i", ast.Store()), node.generators[0].iter, [
            ast.Tuple([ast.NamedExpr(ast.Name(name, ast.Store()), _name("_i"))], ast.Load()),
            *node.generators[0].ifs], 0)  # fmt: skip
        return ast.ListComp(node.elt, [loop])
    return node


def cell_by_value(node: Any) -> Any:
    if isinstance(node, ast.Lambda):
        bound = {argument.arg for argument in ast.walk(node) if isinstance(argument, ast.arg)}
        free = {inner.id for inner in ast.walk(node.body) if isinstance(inner, ast.Name)} - bound
        kept = sorted(name for name in free if name.startswith(("v", "i", "x")))
        if kept:
            node.args.kwonlyargs += [ast.arg(name) for name in kept]
            node.args.kw_defaults += [_name(name) for name in kept]
            return ast.Lambda(node.args, node.body)
    return node


def default_evaluated_at_the_call(node: Any) -> Any:
    if isinstance(node, ast.Lambda) and node.args.defaults and not node.args.vararg and not node.args.kwonlyargs:
        fresh = [_call("(lambda value: value)", default) for default in node.args.defaults]
        node.args.defaults = [ast.Constant(0) for _ in fresh]
        return ast.Lambda(node.args, node.body)
    return node


def nonlocal_store_lost(node: Any) -> Any:
    if isinstance(node, ast.Nonlocal) and node.names[0] != "count":
        return ast.Pass()
    return node


def global_store_lost(node: Any) -> Any:
    return ast.Pass() if isinstance(node, ast.Global) else node


def in_place_as_binary(node: Any) -> Any:
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        value = ast.BinOp(_name(node.target.id), node.op, node.value)
        return ast.Assign([ast.Name(node.target.id, ast.Store())], value)
    return node


def augmented_target_evaluated_twice(node: Any) -> Any:
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript) and _effects(node.target):
        target = node.target
        load = ast.Subscript(target.value, target.slice, ast.Load())
        return ast.Assign([target], ast.BinOp(load, node.op, node.value))
    return node


def unpacking_without_count(node: Any) -> Any:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        target = node.targets[0]
        if not any(isinstance(item, ast.Starred) for item in target.elts):
            rest = ast.Starred(ast.Name("_rest", ast.Store()), ast.Store())
            return ast.Assign([ast.Tuple([*target.elts, rest], ast.Store())], node.value)
    return node


def star_gives_a_tuple(node: Any) -> Any:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        stars = [item for item in node.targets[0].elts if isinstance(item, ast.Starred)]
        if stars and isinstance(stars[0].value, ast.Name):
            name = stars[0].value.id
            return [node, ast.Assign([ast.Name(name, ast.Store())], _call("().__class__", _name(name)))]
    return node


def stores_from_the_right(node: Any) -> Any:
    if isinstance(node, ast.Assign) and len(node.targets) > 1:
        return ast.Assign(node.targets[:1], node.value)
    return node


def slice_loses_its_step(node: Any) -> Any:
    return ast.Slice(node.lower, node.upper, None) if isinstance(node, ast.Slice) and node.step else node


def conversion_lost(node: Any) -> Any:
    if isinstance(node, ast.FormattedValue) and node.conversion == 114:
        return ast.FormattedValue(node.value, -1, node.format_spec)
    return node


def format_spec_lost(node: Any) -> Any:
    if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        return ast.FormattedValue(node.value, node.conversion, None)
    return node


def identity_as_equality(node: Any) -> Any:
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
        operator = ast.Eq() if isinstance(node.ops[0], ast.Is) else ast.NotEq()
        return ast.Compare(node.left, [operator, *node.ops[1:]], node.comparators)
    return node


def isinstance_is_exact(node: Any) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        if len(node.args) == 2 and isinstance(node.args[1], ast.Name):
            return ast.Compare(ast.Attribute(node.args[0], "__class__", ast.Load()), [ast.Is()], [node.args[1]])
    return node


def assert_dropped(node: Any) -> Any:
    return ast.Pass() if isinstance(node, ast.Assert) else node


def negative_zero_folded(node: Any) -> Any:
    if _is(node, ast.UnaryOp, ast.USub) and isinstance(node.operand, ast.Constant):
        if type(node.operand.value) is float and node.operand.value == 0:
            return ast.Constant(0.0)
    return node


def bool_as_int(node: Any) -> Any:
    if isinstance(node, ast.Constant) and node.value is True:
        return ast.Constant(1)
    return node


def big_constant_cut(node: Any) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) is int and node.value >= 1 << 63:
        return ast.Constant(node.value & ((1 << 63) - 1))
    return node


def line_off_by_one(node: Any) -> Any:
    if isinstance(node, (ast.Raise, ast.Subscript)):
        node.lineno += 1
        node.end_lineno = max(node.end_lineno, node.lineno)
        if isinstance(node, ast.Raise) and node.exc is not None:
            for inner in ast.walk(node.exc):
                if hasattr(inner, "lineno"):
                    inner.lineno += 1
                    inner.end_lineno += 1
        return type(node)(**dict(ast.iter_fields(node)), lineno=node.lineno, end_lineno=node.end_lineno,
                          col_offset=node.col_offset, end_col_offset=node.end_col_offset)  # fmt: skip
    return node


def guard_of_match_ignored(node: Any) -> Any:
    if isinstance(node, ast.match_case) and node.guard is not None and not isinstance(node.pattern, ast.MatchAs):
        return ast.match_case(node.pattern, None, node.body)
    return node


def mapping_rest_keeps_keys(node: Any) -> Any:
    if isinstance(node, ast.MatchMapping) and node.rest and node.keys:
        inner = ast.MatchMapping(node.keys, node.patterns, None)
        return ast.MatchAs(inner, node.rest)
    return node


def sequence_pattern_takes_longer_ones(node: Any) -> Any:
    if isinstance(node, ast.MatchSequence) and not any(isinstance(p, ast.MatchStar) for p in node.patterns):
        return ast.MatchSequence([*node.patterns, ast.MatchStar(None)])
    return node


def rest_of_the_group_lost(node: Any) -> Any:
    if isinstance(node, ast.TryStar):
        handler = ast.ExceptHandler(_name("Exception"), None, [ast.Pass()])
        return ast.TryStar(node.body, [*node.handlers, handler], node.orelse, node.finalbody)
    return node


def display_order_reversed(node: Any) -> Any:
    if isinstance(node, (ast.List, ast.Tuple)) and not _stores(node) and sum(map(_effects, node.elts)) > 1:
        made = ast.List(node.elts[::-1], ast.Load())
        back = ast.Subscript(made, ast.Slice(None, None, ast.Constant(-1)), ast.Load())
        return _call("().__class__", back) if isinstance(node, ast.Tuple) else back
    return node


def super_skips_a_class(node: Any) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
        return _name("self")
    return node


def lost_step(*starts: str) -> Rewrite:
    """Lose the mutations whose text starts so: what was compiled before stays in force."""

    def rewrite(node: Any) -> Any:
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[0], ast.Constant):
            text = getattr(node.elts[1], "value", "")
            if node.elts[0].value == "do" and isinstance(text, str) and any(mark in text for mark in starts):
                return ast.Tuple([node.elts[0], ast.Constant("None")], ast.Load())
        return node

    return rewrite
