"""Declarations as graphs: what a deferred expression does, recorded instead of done, so that other engines compile it.

A deferred expression resolves against any object. Against the objects here it leaves nodes, each the same object
wherever the same is computed.
"""

from __future__ import annotations

from typing import Any

from churnml.errors import ChurnmlError
from churnml.tables.schema import Kind

_BINARY = {
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "mod": "mod", "pow": "pow", "floordiv": "floordiv",
    "eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge", "and": "and", "or": "or",
}  # fmt: skip
_BOOLEAN = {"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "isnull", "notnull", "isin"}
_TIME = {"date", "day"}
_METHODS: dict[str, Kind | None] = {  # and the kind that they give; None: that of what they are called on
    "isnull": "boolean", "notnull": "boolean", "isin": "boolean", "fill_null": None, "nullif": None, "coalesce": None,
    "date": "time", "truncate": "time", "epoch_days": "number", "hour": "number", "delta": "number", "sqrt": "number",
    "abs": None, "cast": "number", "index": "number", "ifelse": None, "greatest": None, "least": None,
}  # fmt: skip


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
            raise ChurnmlError(f"declarations cannot use .{name} online", "use other words (docs/features.md)")
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
            kind = next((arg.kind for arg in args if isinstance(arg, Node)), _kind_of(args))
        if name in ("isin", "greatest", "least") and args and isinstance(args[0], list | tuple):
            args = tuple(args[0])
        if name == "cast" and args[0] in ("string", str):
            kind = "text"
        return self.graph.node(name, (self, *args), kind)


def _kind_of(values: tuple[Any, ...]) -> Kind:
    return "text" if any(isinstance(value, str) for value in values) else "number"


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
