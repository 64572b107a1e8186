"""Where Spark's SQL differs from DuckDB's: mended once, for whatever ibis compiles to it."""

from __future__ import annotations

import math
from typing import Any

import ibis.expr.datatypes as dt
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler

_INFINITE = ("Infinity", "-Infinity")


def spark_dialect() -> Any:
    """Return what compiles for Spark."""
    return _SparkDialect()


class _SparkDialect(PySparkCompiler):  # type: ignore[misc]
    """Ibis' compiler for Spark, with DuckDB's meaning of numbers, nulls and bits."""

    __slots__ = ()

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:
        """Write a float as one: to Spark ``3600.0`` is a decimal, and dividing by it loses digits."""
        if dtype.is_floating() and math.isfinite(value):
            return self.cast(sge.convert(value), dt.float64)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_IsNull(self, op: Any, *, arg: Any) -> Any:
        """Tell null; ibis takes NaN for one on Spark alone."""
        return arg.is_(NULL)

    def visit_NotNull(self, op: Any, *, arg: Any) -> Any:
        """Tell what is not null."""
        return sge.Not(this=arg.is_(NULL))

    def visit_IsInf(self, op: Any, *, arg: Any) -> Any:
        """Tell infinity; what ibis writes is always false."""
        return arg.isin(*(self.cast(sge.convert(text), dt.float64) for text in _INFINITE))

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Count rows; of none, 0 and not null."""
        return super().visit_CountStar(op, arg=arg, where=None) if where is None else self.f.count_if(where)

    def visit_BitwiseLeftShift(self, op: Any, *, left: Any, right: Any) -> Any:
        """Shift 64 bits by an int: a literal has 32, and Spark takes no bigint for the number of places."""
        return self.f.shiftleft(self.cast(left, dt.int64), self.cast(right, dt.int32))

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """Round a float that becomes an integer, halves to even; Spark cuts it off."""
        rounded = op.arg.dtype.is_floating() and to.is_integer()
        return super().visit_Cast(op, arg=self.f.rint(arg) if rounded else arg, to=to)

    def visit_TimestampTruncate(self, op: Any, *, arg: Any, unit: Any) -> Any:
        """Cut a time off; what Spark gives has a zone."""
        return self.cast(super().visit_TimestampTruncate(op, arg=arg, unit=unit), dt.timestamp)
