"""Declarations as graphs: what a deferred expression does, recorded instead of done, so that other engines compile it.

A deferred expression resolves against any object. Against the objects here it leaves nodes, each the same object
wherever the same is computed.
"""

from __future__ import annotations

import math
from typing import Any

from churnml.errors import ChurnmlError
from churnml.tables.schema import Kind

_BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "mod": "mod", "pow": "pow", "floordiv": "floordiv",
    "eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge", "and": "and", "or": "or",
}  # fmt: skip
_BOOLEAN = {"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "isnull", "notnull", "isin"}
_NEEDS: dict[str, Kind] = {  # what words are said of; others take values of one kind
    "add": "number", "sub": "number", "mul": "number", "div": "number", "pow": "number", "neg": "number",
    "abs": "number", "sqrt": "number", "and": "boolean", "or": "boolean", "not": "boolean", "date": "time",
    "truncate": "time", "epoch_days": "time", "hour": "time", "day_of_week": "time", "delta": "time",
}  # fmt: skip
_OPTIONS = {"truncate": ("D",), "delta": ("microsecond",), "cast": ("float64", "int64")}  # which engines agree on
_MOST_POWER = 4
_METHODS: dict[str, Kind | None] = {  # and the kind that they give; None: that of what they are called on
    "isnull": "boolean", "notnull": "boolean", "isin": "boolean", "fill_null": None, "nullif": None, "coalesce": None,
    "date": "time", "truncate": "time", "epoch_days": "number", "hour": "number", "delta": "number", "sqrt": "number",
    "abs": None, "cast": "number", "index": "number", "ifelse": None, "greatest": None, "least": None,
}  # fmt: skip

OPS = {"column", "not", "neg", "day_of_week", *_BINARY.values(), *_METHODS}


class Node:
    """One step of an expression.

    Parameters
    ----------
    graph : Graph
        Where equal nodes are one.
    op : str
        What is done.
    args : tuple
        Nodes and constants it is done to.
    kind : str
        What comes out.
    """

    def __init__(self, graph: Graph, op: str, args: tuple[Any, ...], kind: Kind) -> None:
        self.graph, self.op, self.args, self.kind = graph, op, args, kind

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if name == "day_of_week":
            return self.graph.node("day_of_week", (self,), "number")
        if name not in _METHODS:
            raise _refused(f"declarations cannot use .{name}")
        return lambda *args, **named: self._called(name, (*args, *named.values()))

    def __invert__(self) -> Node:
        return self.graph.node("not", (self,), "boolean")

    def __neg__(self) -> Node:
        return self.graph.node("neg", (self,), self.kind)

    def __abs__(self) -> Node:
        return self.graph.node("abs", (self,), self.kind)

    def _called(self, name: str, args: tuple[Any, ...]) -> Node:
        kind = _METHODS[name] or self.kind
        if name == "ifelse":
            kind = next((found for found in map(kind_of, args) if found), "number")
        if name in ("isin", "greatest", "least") and args and isinstance(args[0], list | tuple):
            args = tuple(args[0])
        if name in _OPTIONS and args[-1] not in _OPTIONS[name]:
            raise _refused(f"declarations cannot use .{name} with {args[-1]!r}, but {' or '.join(_OPTIONS[name])}")
        return self.graph.node(name, (self, *args), kind)


def _refused(what: str) -> ChurnmlError:
    return ChurnmlError(what, "use other words (docs/features.md)")


def kind_of(value: Any) -> Kind | None:
    """Return what a node or constant is; None where it is null.

    Raises
    ------
    ChurnmlError
        If it is nothing that every engine knows.
    """
    if isinstance(value, Node):
        return value.kind
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float) and math.isfinite(value):
        return "number"
    if isinstance(value, str):
        return "text"
    raise _refused(f"declarations cannot use the constant {value!r}")


def _refuse(op: str, args: tuple[Any, ...]) -> None:
    """Raise where a word is said of what it cannot be said of: engines differ on it, or fail when rows are read."""
    if op in ("column", "isnull", "notnull", "index"):
        return
    if op in ("mod", "floordiv"):
        raise _refused(f"declarations cannot use {'%' if op == 'mod' else '//'}")
    said = args[:-1] if op in _OPTIONS else args
    kinds = [kind_of(arg) for arg in said]
    if op == "ifelse":
        condition, *kinds = kinds
        if condition != "boolean":
            raise _refused(f"declarations cannot use .ifelse of a {condition}")
    if op == "cast" and kinds[0] not in ("number", "boolean"):
        raise _refused(f"declarations cannot use .cast of a {kinds[0]}")
    if op == "pow" and not (isinstance(args[1], int) and 1 <= args[1] <= _MOST_POWER):
        raise _refused(
            f"declarations cannot use ** but with a whole number from 1 to {_MOST_POWER} (.sqrt() for roots)"
        )
    there = {kind for kind in kinds if kind is not None}
    needed = _NEEDS.get(op)
    if len(there) > 1 or (needed and there - {needed}):
        raise _refused(f"declarations cannot use {op} of {' and '.join(map(str, kinds))}")


def _binary(op: str, *, turned: bool) -> Any:
    def apply(self: Node, other: Any) -> Node:
        args = (other, self) if turned else (self, other)
        return self.graph.node(op, args, "boolean" if op in _BOOLEAN else "number")

    return apply


for _name, _op in _BINARY.items():
    setattr(Node, f"__{_name}__", _binary(_op, turned=False))
    if _op not in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Node, f"__r{_name}__", _binary(_op, turned=True))


class Graph:
    """Nodes by what they do; equal ones are one object."""

    def __init__(self) -> None:
        self._nodes: dict[Any, Node] = {}

    def node(self, op: str, args: tuple[Any, ...], kind: Kind) -> Node:
        """Return the node that does this."""
        key = (op, *((id(arg), "node") if isinstance(arg, Node) else (repr(arg), "constant") for arg in args))
        if key not in self._nodes:
            _refuse(op, args)
            self._nodes[key] = Node(self, op, args, kind)
        return self._nodes[key]


class Columns:
    """What an expression sees in place of rows: every name is a column.

    Parameters
    ----------
    graph : Graph
        Where the nodes go.
    scope : str
        Whose columns they are.
    kinds : dict of str
        What they hold; a number where nothing else is known.
    """

    def __init__(self, graph: Graph, scope: str, kinds: dict[str, Kind]) -> None:
        self._graph, self._scope, self._kinds = graph, scope, kinds

    def __getattr__(self, name: str) -> Node:
        return self[name]

    def __getitem__(self, name: str) -> Node:
        if name not in self._kinds:
            raise ChurnmlError(f"{self._scope} has no column {name}", f"it has {', '.join(self._kinds)}", column=name)
        return self._graph.node("column", (self._scope, name), self._kinds[name])
