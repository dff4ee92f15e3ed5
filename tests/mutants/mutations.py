"""Small changes of a module (mutants), each of which should make a test fail."""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
        file: The path of the module in the project.
        before: The whole source of the module.
        after: The same with the change.
    """

    file: str
    before: str
    after: str

    def diff(self) -> str:
        """Return the lines that differ."""
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), self.file, self.file, "", "", 0, ""
        )
        return "\n".join(list(lines)[2:])

    def changed(self) -> tuple[str, str]:
        """Return the changed lines before and after, without the white space around them."""
        lines = self.diff().splitlines()[1:]
        old = [line[1:] for line in lines if line.startswith("-")]
        new = [line[1:] for line in lines if line.startswith("+")]
        return "\n".join(old).strip(), "\n".join(new).strip()


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of its lines."""
    tree = ast.parse(source)
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    raw = source.encode()
    ignored = {
        inner
        for node in ast.walk(tree)
        for part in _parts_without_effect(node)
        for inner in ast.walk(part)
    }
    for node in ast.walk(tree):
        if node in ignored or not isinstance(node, ast.expr | ast.stmt):
            continue
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        for text in _replacements(node):
            after = (raw[:start] + text.encode() + raw[end:]).decode()
            if after != source:
                yield Mutant(file, source, after)


def _parts_without_effect(node: ast.AST) -> Iterator[ast.AST]:
    """Yield parts that have no effect at run time or cannot be replaced alone."""
    if isinstance(node, ast.AnnAssign):
        yield node.annotation
    if isinstance(node, ast.arg) and node.annotation is not None:
        yield node.annotation
    if isinstance(node, ast.FunctionDef) and node.returns is not None:
        yield node.returns
    if isinstance(node, ast.JoinedStr):  # its parts are not string literals
        yield from (part for part in node.values if isinstance(part, ast.Constant))
        yield from (
            part.format_spec
            for part in node.values
            if isinstance(part, ast.FormattedValue) and part.format_spec
        )
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    if is_docstring or is_all:
        yield node
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        yield node
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
        yield node
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"cast", "TypeVar"}:
        yield node.args[0]
    if isinstance(node, ast.ClassDef) and any(
        ast.unparse(base) == "Protocol" for base in node.bases
    ):
        yield node


def _replacements(node: ast.expr | ast.stmt) -> Iterator[str]:
    """Yield the source code that may replace a node."""
    if isinstance(node, ast.Constant):
        yield from _other_constants(node.value)
    elif isinstance(node, ast.stmt):
        yield from _other_statements(node)
    else:
        changed = _other_expression(node)
        if changed is not None:
            yield f"({ast.unparse(changed)})"


def _other_constants(value: object) -> Iterator[str]:
    match value:
        case bool():
            yield repr(not value)
        case int() | float():
            yield repr(value + 1)
        case str():
            yield repr("" if value else "XX")
        case bytes():
            yield repr(b"" if value else b"XX")


def _other_statements(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield "return None"
        case ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign():
            yield "pass"
        case ast.Expr(value=ast.Call()) | ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "pass"
        case ast.Expr(value=ast.YieldFrom()):
            yield "yield from ()"


def _other_expression(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Compare(left, [op], right) if type(op) in COMPARISONS:
            return ast.Compare(left, [COMPARISONS[type(op)]()], right)
        case ast.BoolOp(op, values):
            return ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            return ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            return operand
        case ast.IfExp(test, body, orelse):
            return ast.IfExp(test, orelse, body)
    return None
