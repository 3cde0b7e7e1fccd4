"""What people get wrong with the tables of pandas."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .known import known
from .model import At, bug
from .module import Module, constant, keyword, words

_MAKERS = words(
    "DataFrame read_csv read_excel read_json read_parquet read_table read_sql read_sql_query "
    "read_feather read_pickle concat merge json_normalize"
)
#: Methods that give back a changed copy.
_COPYING = words(
    "dropna fillna drop drop_duplicates rename reset_index set_index sort_values sort_index "
    "replace astype reindex assign"
)
_KEEPING = _COPYING | words("copy head tail sample query merge join")
#: What a table has besides its columns.
_OWN = words("shape size ndim empty index columns values dtypes T loc iloc at iat attrs axes")


def _tables(module: Module) -> Iterator[ast.Name]:
    """Return every read of a name that is only ever a table of pandas."""
    if not any(name.partition(".")[0] == "pandas" for name in module.imports.values()):
        return
    names = known(module)
    for node in module.all(ast.Name):
        if isinstance(node.ctx, ast.Load):
            values = names.values(node)
            if values and all(_is_table(module, value, node.id) for value in values):
                if any(_is_made(module, value) for value in values):
                    yield node


def _is_made(module: Module, value: ast.expr) -> bool:
    while isinstance(value, ast.Call):
        name = module.name_of(value.func)
        if name.startswith("pandas.") and name[7:] in _MAKERS:
            # With these, a reader gives pieces, or several tables.
            return not any(
                keyword(value, odd) for odd in ("chunksize", "iterator", "sheet_name", "squeeze")
            )
        func = value.func
        if not isinstance(func, ast.Attribute) or func.attr not in _KEEPING:
            return False
        value = func.value
    return False


def _is_table(module: Module, value: ast.expr, name: str) -> bool:
    if _is_made(module, value):
        return True
    while isinstance(value, ast.Call):
        func = value.func
        if not isinstance(func, ast.Attribute) or func.attr not in _KEEPING:
            return False
        value = func.value
    if isinstance(value, ast.Subscript) and not isinstance(value.slice, ast.Constant):
        value = value.value
    return isinstance(value, ast.Name) and value.id == name


@bug(
    "columns-asked-as-one",
    "`and`, `or` and `not` can't be asked of a whole column",
    "The comparison gives one answer for each row, and Python does not know which of them is "
    "meant: this raises ValueError. Write (df.a > 0) & (df.b < 5), with the brackets; ~ for not.",
    severity="error",
    confidence=0.95,
)
def columns_asked_as_one(module: Module) -> Iterator[ast.AST]:
    told: set[ast.AST] = set()
    for load in _tables(module):
        column = module.parent(load)
        if column is None:
            continue
        if isinstance(column, ast.Attribute):
            if column.attr in _OWN:
                continue
        elif not _is_column(column, load):
            continue
        compare = module.parent(column)
        if not isinstance(compare, ast.Compare) or column is not compare.left:
            continue
        if len(compare.ops) != 1 or not isinstance(
            compare.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE | ast.Eq | ast.NotEq
        ):
            continue
        if not isinstance(compare.comparators[0], ast.Constant):
            continue
        asker = module.parent(compare)
        asked = (
            isinstance(asker, ast.BoolOp)
            or (isinstance(asker, ast.UnaryOp) and isinstance(asker.op, ast.Not))
            or (isinstance(asker, ast.If | ast.While | ast.IfExp) and asker.test is compare)
        )
        if asked and asker is not None and asker not in told:
            told.add(asker)
            yield asker if isinstance(asker, ast.BoolOp | ast.UnaryOp) else compare


def _is_column(node: ast.AST, table: ast.Name) -> bool:
    return (
        isinstance(node, ast.Subscript)
        and node.value is table
        and isinstance(constant(node.slice), str)
    )


@bug(
    "table-not-kept",
    "The changed table is thrown away",
    "Methods of a table such as dropna(), fillna() and drop() leave it as it is and give back a "
    "changed copy. This line drops the copy, so nothing has changed. Write df = df.dropna().",
    severity="error",
    confidence=0.9,
    cwe="CWE-252",
)
def table_not_kept(module: Module) -> Iterator[ast.AST | At]:
    for load in _tables(module):
        attribute = module.parent(load)
        call = module.parent(attribute) if isinstance(attribute, ast.Attribute) else None
        if not isinstance(attribute, ast.Attribute) or attribute.attr not in _COPYING:
            continue
        if not isinstance(call, ast.Call) or call.func is not attribute:
            continue
        inplace = keyword(call, "inplace")
        kept = inplace is not None and constant(inplace) is not False
        spread = any(item.arg is None for item in call.keywords)
        statement = module.parent(call)
        if not isinstance(statement, ast.Expr) or kept or spread:
            continue
        if statement is _last(module) or any(
            isinstance(one, ast.With | ast.Try) for one in module.ancestors(call)
        ):
            # The last line of a cell is shown.
            continue
        yield At(call, f"`{load.id}` stays as it is: the changed copy is thrown away")


def _last(module: Module) -> ast.AST | None:
    return module.tree.body[-1] if module.tree.body else None


@bug(
    "set-in-a-copy",
    "This sets the values of a copy; the table stays as it is",
    "df[rows] makes a copy of these rows, and what is set in a column of the copy is lost with it; "
    "pandas 3 never writes through. Write df.loc[rows, 'column'] = value.",
    severity="error",
    confidence=0.9,
)
def set_in_a_copy(module: Module) -> Iterator[ast.AST]:
    for load in _tables(module):
        inner = module.parent(load)
        if not isinstance(inner, ast.Subscript) or inner.value is not load:
            continue
        outer = module.parent(inner)
        if not isinstance(outer, ast.Subscript) or outer.value is not inner:
            continue
        rows = isinstance(inner.slice, ast.Compare | ast.BinOp) and isinstance(
            constant(outer.slice), str
        )
        if rows and isinstance(outer.ctx, ast.Store):
            yield outer
