"""Python source of traced expressions: over arrays of rows (numpy), and over the numbers of one customer.

Numbers, times (microseconds since 1970) and booleans of rows are float64 with nan for null, texts objects with None.
Of one customer, null is None. Comparisons and conditions know a third truth value, as SQL does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from churnml.errors import ChurnmlError
from churnml.feature_extraction.tracing import Node

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000

_SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "pow": "**",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
_COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")


class Source:
    """Lines of Python, and the names of what they have computed.

    Parameters
    ----------
    indent : str
        Before each line.
    """

    def __init__(self, indent: str = "    ") -> None:
        self.lines: list[str] = []
        self._indent = indent
        self._names: dict[Any, str] = {}

    def named(self, expression: str, key: Any = None) -> str:
        """Compute an expression once, and return the name that it has; the key, if given, stands for it from now on."""
        name = expression if expression.isidentifier() else self._names.get(expression)
        if name is None:
            name = self._names[expression] = f"v{len(self.lines)}"
            self.lines.append(f"{self._indent}{name} = {expression}")
        if key is not None:
            self._names[key] = name
        return name

    def known(self, key: Any) -> str | None:
        """Return the name of what is computed already."""
        return self._names.get(key)


class RowSource(Source):
    """Source over arrays of rows; columns come from a dict called ``c``."""

    def value(self, node: Any) -> str:
        """Return the name of an expression's values."""
        if not isinstance(node, Node):
            return "nan" if node is None else repr(node)
        return self.known((node, "value")) or self.named(self._value(node), (node, "value"))

    def condition(self, node: Any) -> str:
        """Return the name of where a condition is true."""
        if not isinstance(node, Node):
            return repr(node is True)
        return self.known((node, "condition")) or self.named(self._condition(node), (node, "condition"))

    def null(self, node: Any) -> str | None:
        """Return the name of where an expression is null; None where it never is."""
        if not isinstance(node, Node):
            return None if node is not None else "True"
        return self.known((node, "null")) or self._named_null(node)

    def _named_null(self, node: Node) -> str | None:
        expression = self._null(node)
        return expression and self.named(expression, (node, "null"))

    def _null(self, node: Node) -> str | None:
        if node.op in ("isnull", "notnull") or (node.op == "fill_null" and node.args[1] is not None):
            return None
        if node.kind != "boolean" or node.op in ("column", "fill_null", "ifelse"):
            value = self.value(node)
            return f"is_none({value})" if node.kind == "text" else f"isnan({value})"
        nulls = [name for name in map(self.null, node.args) if name]
        if node.op in ("and", "or") and nulls:
            decided = []
            for arg in node.args:
                null, sign = self.null(arg), "~" if node.op == "and" else ""
                decided.append(f"({sign}{self.condition(arg)}{f' & ~{null}' if null else ''})")
            return f"({' | '.join(nulls)}) & ~({' | '.join(decided)})"
        return " | ".join(nulls) or None

    def _condition(self, node: Node) -> str:
        op, args = node.op, node.args
        if op in ("isnull", "notnull"):
            null = self.null(args[0])
            if null is None:
                return "ones" if op == "notnull" else "zeros"
            return f"~{null}" if op == "notnull" else null
        if op in ("and", "or"):
            return f"{self.condition(args[0])} {'&' if op == 'and' else '|'} {self.condition(args[1])}"
        if op == "not":
            null = self.null(args[0])
            return f"~{self.condition(args[0])}" + (f" & ~{null}" if null else "")
        if op in _COMPARE:
            compared = f"({self.value(args[0])} {_SIGNS[op]} {self.value(args[1])})"
            nulls = [name for name in map(self.null, args) if name] if op == "ne" else []
            return compared + "".join(f" & ~{name}" for name in nulls)
        if op == "isin":
            return " | ".join(f"({self.value(args[0])} == {value!r})" for value in args[1:]) or "zeros"
        if op == "fill_null" and node.kind == "boolean" and args[1] is False:
            return self.condition(args[0])
        return f"({self.value(node)} == 1)"

    def _value(self, node: Node) -> str:
        op, args = node.op, node.args
        if op == "column":
            return f"c[{args[1]!r}]"
        if node.kind == "boolean" and op not in ("fill_null", "ifelse"):
            null = self.null(node)
            return f"where({null}, nan, {self.condition(node)})" if null else f"{self.condition(node)} * 1.0"
        if op == "ifelse":
            return f"where({self.condition(args[0])}, {self.value(args[1])}, {self.value(args[2])})"
        if op == "div":
            divisor = self.value(args[1])
            sure = not isinstance(args[1], Node) and args[1] not in (None, 0)
            return f"{self.value(args[0])} / {divisor if sure else f'nonzero({divisor})'}"
        if op in _SIGNS:
            return f"{self.value(args[0])} {_SIGNS[op]} {self.value(args[1])}"
        own = self.value(args[0])
        if op in ("date", "truncate", "epoch_days", "day_of_week"):
            day = self.named(f"floor({own} / {DAY_US})")
            return {"epoch_days": day, "day_of_week": f"({day} + 3) % 7"}.get(op, f"{day} * {DAY_US}")
        if op in ("fill_null", "coalesce"):
            null = self.null(args[0])
            return f"where({null}, {self.value(args[1])}, {own})" if null else own
        simple = {
            "neg": f"-{own}",
            "abs": f"abs({own})",
            "sqrt": f"sqrt(where({own} >= 0, {own}, nan))",
            "hour": f"floor({own} % {DAY_US} / {HOUR_US})",
            "index": own,
            "cast": f"rint({own})" if op == "cast" and args[1] == "int64" else own,
        }
        if op in simple:
            return simple[op]
        other = self.value(args[1])
        if op == "delta":
            return f"{own} - {other}"
        if op == "nullif":
            return f"where({own} == {other}, nan, {own})"
        if op in ("greatest", "least"):
            found = own
            for arg in args[1:]:
                found = f"{'fmax' if op == 'greatest' else 'fmin'}({found}, {self.value(arg)})"
            return found
        raise unknown(op)


class ScalarSource(Source):
    """Source over the values of one customer; ``leaf`` tells what stands for a column."""

    def __init__(self, leaves: dict[str, str]) -> None:
        super().__init__()
        self._leaves = leaves

    def value(self, node: Any) -> str:
        """Return the name of an expression's value."""
        if not isinstance(node, Node):
            return repr(node)
        return self.known(node) or self.named(self._value(node), node)

    def _value(self, node: Node) -> str:
        op, args = node.op, node.args
        if op == "column":
            return self._leaves[args[1]]
        names = [self.value(arg) for arg in args]
        if op in ("isnull", "notnull"):
            return f"{names[0]} is {'not ' if op == 'notnull' else ''}None"
        if op in ("fill_null", "coalesce"):
            return f"{names[1]} if {names[0]} is None else {names[0]}"
        if op == "ifelse":
            return f"{names[1]} if {names[0]} else {names[2]}"
        if op in ("and", "or"):
            decides = "False" if op == "and" else "True"
            either = f"{names[0]} is {decides} or {names[1]} is {decides}"
            return (
                f"{decides} if {either} else None if {names[0]} is None or {names[1]} is None else {decides == 'False'}"
            )
        if op in ("greatest", "least"):
            there = f"[x for x in ({', '.join(names)},) if x is not None]"
            return f"{'max' if op == 'greatest' else 'min'}({there}, default=None)"
        nulls = [f"{name} is None" for name, arg in zip(names, args, strict=True) if isinstance(arg, Node)]
        nulls += ["True" for arg in args if arg is None]
        if op == "div":
            nulls.append(f"{names[1]} == 0")
        if op == "sqrt":
            nulls.append(f"{names[0]} < 0")
        return f"None if {' or '.join(nulls)} else {self._plain(op, names)}"

    def _plain(self, op: str, names: list[str]) -> str:
        own = names[0]
        if op in _SIGNS:
            return f"{own} {_SIGNS[op]} {names[1]}"
        simple = {
            "div": f"{own} / {names[-1]}",
            "not": f"not {own}",
            "neg": f"-{own}",
            "abs": f"abs({own})",
            "sqrt": f"{own} ** 0.5",
            "date": f"{own} // {DAY_US} * {DAY_US}",
            "truncate": f"{own} // {DAY_US} * {DAY_US}",
            "epoch_days": f"int({own} // {DAY_US})",
            "hour": f"int({own} % {DAY_US} // {HOUR_US})",
            "day_of_week": f"int({own} // {DAY_US} + 3) % 7",
            "index": own,
            "cast": {"'float64'": f"float({own})", "'int64'": f"round({own})"}.get(names[-1], own),
            "delta": f"{own} - {names[-1]}",
            "nullif": f"(None if {own} == {names[-1]} else {own})",
            "isin": f"{own} in ({', '.join(names[1:])},)",
        }
        if op not in simple:
            raise unknown(op)
        return simple[op]


def unknown(op: str) -> ChurnmlError:
    """Return the error of a word that the online engine does not know."""
    return ChurnmlError(f"declarations cannot use {op} online", "use other words (docs/features.md)")


def compiled(name: str, arguments: str, source: Source, result: str) -> Any:
    """Return the function that lines of source make."""
    body = "\n".join([f"def {name}({arguments}):", *source.lines, f"    return {result}"])
    scope = {
        word: getattr(np, word) for word in ("where", "isnan", "sqrt", "floor", "rint", "fmax", "fmin", "nan", "inf")
    }
    scope |= {"nonzero": _nonzero, "is_none": _is_none}
    exec(compile(body, f"<{name}>", "exec"), scope)  # noqa: S102 - the text is our own
    return scope[name]


def _nonzero(values: Any) -> Any:
    return np.where(np.equal(values, 0), np.nan, values)


def _is_none(values: Any) -> Any:
    return np.asarray(values == None, dtype=bool)  # noqa: E711 - of each
