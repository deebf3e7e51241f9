"""Moving work out of a loop: what is the same in each step, and what can be done for all at once.

Products of matrices gain most: of rows that are read with a matrix from outside, of results that
are only collected, and sums of products over the steps become one large product each.
"""

from __future__ import annotations

from typing import Any

from ...program.equation import Equation, Var
from .parts import Carried, Scan, apply, replaced, type_of


def hoist(scan: Scan, before: list[Equation]) -> None:
    """Write what depends on no step before the loop."""
    if not scan.steps:
        return  # it must not be computed, as it may fail
    outside: dict[Var, Any] = dict(scan.captured)
    kept = []
    for equation in scan.equations:
        movable = all(v in outside for v in equation.inputs)
        if movable and equation.inputs and equation.primitive.name not in ("broadcast_to", "alias"):
            outs = tuple(Var(-1, None, o.type, o.name) for o in equation.outs)
            before.append(replaced(equation, outside)._replace(outs=outs))
            outside.update(zip(equation.outs, outs, strict=True))
            scan.captured.update(zip(equation.outs, outs, strict=True))
        else:
            kept.append(equation)
    scan.equations = kept


def project_rows(scan: Scan, before: list[Equation]) -> None:
    """Write products of rows with a fixed matrix before the loop, as one product."""
    kept = []
    for equation in scan.equations:
        product = _product_of_all(scan, equation, scan.rows, before)
        if product is None:
            kept.append(equation)
        else:
            scan.rows[equation.out] = product
    scan.equations = kept


def project_results(scan: Scan, after: list[Equation]) -> None:
    """Write products with a fixed matrix that are only collected after the loop, as one product."""
    readers = scan.readers()
    columns = {value: out for value, out in scan.stacked if type(value) is Var}
    for equation in list(scan.equations):
        if len(equation.outs) != 1 or readers.get(equation.out) != 1 or equation.out not in columns:
            continue
        moving = [o for o in equation.inputs if o not in scan.captured]
        rows = {var: scan.column(var) for var in moving} if _is_projection(scan, equation) else {}
        product = _product_of_all(scan, equation, rows, after, columns[equation.out])
        if product is not None:
            scan.equations.remove(equation)
            scan.stacked = [(v, out) for v, out in scan.stacked if v is not equation.out]


def _is_projection(scan: Scan, equation: Equation) -> bool:
    """Tell whether an equation is a product of one thing that moves and a fixed matrix."""
    if equation.primitive.name != "matmul" or not scan.steps:
        return False
    a, b = equation.operands
    ndim_a, ndim_b = len(type_of(a).shape), len(type_of(b).shape)
    is_fixed = [type(o) is not Var or o in scan.captured for o in (a, b)]
    if is_fixed == [False, True]:
        return ndim_a in (1, 2) and ndim_b == 2
    return is_fixed == [True, False] and (ndim_a, ndim_b) == (2, 1)


def _product_of_all(
    scan: Scan, equation: Equation, rows: dict[Var, Any], into: list[Equation], out: Any = None
) -> Any:
    """Write a product for all steps at once; returns the array of the products."""
    if not _is_projection(scan, equation):
        return None
    a, b = equation.operands
    moving, fixed = (a, b) if type(a) is Var and a not in scan.captured else (b, a)
    if moving not in rows:
        return None
    matrix = scan.captured.get(fixed, fixed) if type(fixed) is Var else fixed
    x, origin = rows[moving], equation.origin
    if moving is b:  # A x for each x is X Aᵀ
        matrix = apply(into, "transpose", (matrix,), origin, axes=(1, 0))
    shape = type_of(x).shape
    if len(shape) == 3:
        flat = (shape[0] * shape[1], shape[2])
        x = apply(into, "reshape", (x,), origin, shape=flat)
    product = apply(into, "matmul", (x, matrix), origin)
    if len(shape) == 3:
        last = product.type.shape[-1]
        product = apply(into, "reshape", (product,), origin, shape=(*shape[:2], last))
    if out is not None:
        into[-1] = into[-1]._replace(outs=(out,))
        return out
    return product


def sum_products(scan: Scan, after: list[Equation]) -> None:
    """Write sums of products over the steps after the loop, as one product each."""
    if not scan.steps:
        return
    readers = scan.readers()
    producer = {out: e for e in scan.equations for out in e.outs}
    for c in list(scan.carried):
        added = _added(c, readers, producer)
        products = [] if added is None else _products(added, readers, producer)
        if not products or any(v in scan.captured for _, pair in products for v, _ in pair):
            continue
        total: Any = None
        for term, factors in products:
            origin = producer[term].origin
            left = _beside(scan, *factors[0], after, origin)
            right = _below(scan, *factors[1], after, origin)
            product = apply(after, "matmul", (left, right), origin)
            total = apply(after, "add", (total, product), origin) if total else product
        after.append(producer[c.after]._replace(operands=(c.initial, total), outs=(c.out,)))
        scan.carried.remove(c)
        gone = {id(producer[c.after]), *(id(producer[term]) for term, _ in products)}
        scan.equations = [e for e in scan.equations if id(e) not in gone]


def _added(c: Carried, readers: dict[Var, int], producer: dict[Var, Equation]) -> Var | None:
    """Return what each step adds to a carried value that it uses for nothing else."""
    added = producer.get(c.after) if type(c.after) is Var else None
    if added is None or added.primitive.name != "add" or readers.get(c.var) != 1:
        return None
    if readers.get(c.after) != 1 or c.var not in added.inputs or c.var.type.dtype.kind != "f":
        return None
    (term,) = [o for o in added.operands if o is not c.var] or [None]
    if type(term) is not Var or term not in producer:
        return None
    return term if term.type.shape == c.var.type.shape and len(term.type.shape) == 2 else None


def _products(
    term: Var, readers: dict[Var, int], producer: dict[Var, Equation]
) -> list[tuple[Var, tuple[Factor, Factor]]]:
    """Return the products of which something is the sum, with their factors; none if it isn't."""
    if readers.get(term) != 1 or term not in producer:
        return []
    factors = _factors(term, producer)
    if factors is not None:
        return [(term, factors)]
    equation = producer[term]
    if equation.primitive.name != "add" or any(
        type(o) is not Var or o.type != term.type for o in equation.operands
    ):
        return []
    parts = [_products(o, readers, producer) for o in equation.operands]
    return [product for part in parts for product in part] if all(parts) else []


Factor = tuple[Var, bool]  # a value of the body, and whether it is the factor transposed


def _factors(term: Var, producer: dict[Var, Equation]) -> tuple[Factor, Factor] | None:
    """Return the two factors of a product of matrices, or of a column and a row."""
    equation = producer[term]
    if equation.primitive.name == "matmul":
        a, b = equation.operands
        if type(a) is not Var or type(b) is not Var or len(a.type.shape) != 2 != len(b.type.shape):
            return None
        if len(b.type.shape) != 2 or not a.type.dtype == b.type.dtype == term.type.dtype:
            return None
        return _untransposed(a, producer), _untransposed(b, producer)
    if equation.primitive.name == "transpose":  # (AB)ᵀ = BᵀAᵀ
        (inner,) = equation.inputs
        found = _factors(inner, producer) if inner in producer else None
        if found is None:
            return None
        (a, over_a), (b, over_b) = found
        return (b, not over_b), (a, not over_a)
    if equation.primitive.name == "mul":
        sides = [_vector(o, term, producer) for o in equation.operands]
        for column, row in (sides, sides[::-1]):
            if column and row and column[1] == "column" and row[1] == "row":
                return (column[0], True), (row[0], False)
    return None


def _untransposed(var: Var, producer: dict[Var, Equation]) -> Factor:
    equation = producer.get(var)
    if equation is not None and equation.primitive.name == "transpose":
        return equation.inputs[0], True
    return var, False


def _vector(o: Any, term: Var, producer: dict[Var, Equation]) -> tuple[Var, str] | None:
    """Return the vector of which an operand is a column or a row."""
    if type(o) is not Var or len(term.type.shape) != 2:
        return None
    if o.type.shape == term.type.shape[1:] and o.type.dtype == term.type.dtype:
        return o, "row"
    equation = producer.get(o)
    if equation is None or equation.primitive.name not in ("getitem", "reshape"):
        return None
    if len(equation.operands) != 1 or len(equation.inputs[0].type.shape) != 1:
        return None
    (x,) = equation.inputs
    if x.type.dtype != term.type.dtype or x.type.size != o.type.size:
        return None
    m, n = term.type.shape
    if o.type.shape == (m, 1) and m != 1:
        return x, "column"
    return (x, "row") if o.type.shape == (1, n) and n != 1 else None


def _below(scan: Scan, var: Var, transposed: bool, into: list[Equation], origin: Any) -> Any:
    """Return the factors of all steps, one below the other."""
    x = scan.column(var)
    shape = type_of(x).shape
    if len(shape) == 2:
        return x
    if transposed:
        x = apply(into, "transpose", (x,), origin, axes=(0, 2, 1))
        shape = type_of(x).shape
    return apply(into, "reshape", (x,), origin, shape=(shape[0] * shape[1], shape[2]))


def _beside(scan: Scan, var: Var, transposed: bool, into: list[Equation], origin: Any) -> Any:
    """Return the factors of all steps, one beside the other."""
    below = _below(scan, var, not transposed, into, origin)
    return apply(into, "transpose", (below,), origin, axes=(1, 0))
