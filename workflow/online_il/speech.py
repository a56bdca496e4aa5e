"""Takes out of a module's syntax what only speaks, before its hash is made.

Texts of raised errors, what is logged, printed or reported, descriptions, help, docstrings: a word
more or less in them decides no number. Nor does a private constant of a module (`_REMEDY`) that is
read for nothing else. The condition of an error counts, and so does whatever else it is given. A
text in which something is called that may do more than read is kept but for its words. Methods of
settings that tell what is wrong with them (`REFUSING`) run before anything starts and do not count.
"""

import ast
import re
from collections.abc import Callable

UNCOUNTED = (
    "online_il.program",
    "online_il.config.partial",
    "online_il.config.problem",
    "online_il.errors",
    "online_il.files",
    "online_il.layout",
    "online_il.provenance",
    "online_il.speech",
)
"""Modules, with all that lies below them, that start, stop, write and speak, and where to."""
SILENT_LIBRARIES = {"logging", "warnings"}
DESCRIBED = {"Field", "add_argument", "ArgumentParser"}
DESCRIPTIONS = {"description", "help", "title"}
SPEAKERS = {"log", "report", "warn_once"}
"""Functions of `program` that only speak; so do `print` and the libraries above."""
REFUSING = {"problems", "problems_among"}
"""Methods of settings that say what is wrong with them, before anything starts (`config/`)."""
PURE = frozenset(
    """len str repr sorted sum min max round int float abs set list tuple dict type format size join
    strip rstrip lstrip split splitlines removeprefix removesuffix replace relative_to upper lower
    title items keys values get isnan mean Path getattr isinstance zip enumerate range bool any all
    model_dump _asdict perf_counter monotonic""".split()  # noqa: SIM905
)
"""Functions and methods that read and leave no trace."""


def without_speech(tree: ast.Module) -> ast.Module:
    """Take what only speaks out of a tree, which is changed."""
    silence = _Silence(_imported_uncounted(tree))
    silent = silence.visit(tree)
    _drop_unused(silent, silence.is_pure)
    _drop_unused_constants(silent, silence.is_pure)
    for node in ast.walk(silent):
        if getattr(node, "body", None) == []:
            vars(node)["body"] = [ast.Pass()]
    return silent


def is_uncounted(module: str) -> bool:
    """Tell whether a module, by its dotted name, decides no number."""
    return any(module == name or module.startswith(f"{name}.") for name in UNCOUNTED)


class _Silence(ast.NodeTransformer):
    """Takes out what speaks, statement by statement."""

    def __init__(self, uncounted: set[str]) -> None:
        self.speakers = {"print", *(uncounted & SPEAKERS)}
        self.errors = {"Stopped", "Exhausted"}
        self.pure = PURE | uncounted
        self.texts: set[str] = set()

    def is_pure(self, value: ast.AST) -> bool:
        """Tell whether evaluating an expression does nothing that decides a number."""
        forbidden = ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom
        return all(
            not isinstance(node, forbidden)
            and (not isinstance(node, ast.Call) or _name_of(node.func) in self.pure)
            for node in ast.walk(value)
        )

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        around, self.texts = self.texts, self.texts | _texts_of(node)
        self.generic_visit(node)
        self.texts = around
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        return _with_names(node, lambda name: not (name in SILENT_LIBRARIES or is_uncounted(name)))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        module = node.module or ""
        if module.split(".")[0] in SILENT_LIBRARIES or is_uncounted(module):
            return None
        return _with_names(node, lambda name: not is_uncounted(f"{module}.{name}"))

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        if _name_of(node.test) == "TYPE_CHECKING":
            return node.orelse
        if not node.body and not node.orelse and self.is_pure(node.test):
            return []
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [one for one in node.body if getattr(one, "name", "") not in REFUSING]
        if any(_is_error(_name_of(base)) for base in node.bases):
            self.errors.add(node.name)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if [_name_of(target) for target in node.targets] == ["__version__"]:
            return None
        return self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.exc, ast.Call):
            self._blank_texts(node.exc)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        self.generic_visit(node)
        # A bare text documents; a bare None is what is left of a call that spoke.
        return None if _is_constant(node.value, str, type(None)) else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        called = _name_of(node.func)
        if self._speaks(node.func):
            if all(self.is_pure(part) for part in _given(node)):
                return ast.Constant(None)
            return _Wordless().visit(node)
        if called in ("exit", "error") or called in self.errors or _is_error(called):
            self._blank_texts(node)
        if called in DESCRIBED:
            node.keywords = [
                keyword
                for keyword in node.keywords
                if keyword.arg not in DESCRIPTIONS or not _is_text(keyword.value)
            ]
        return node

    def _speaks(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Name):
            return function.id in self.speakers
        if not isinstance(function, ast.Attribute):
            return False
        owner = _name_of(function.value)
        return function.attr == "add_note" or owner in SILENT_LIBRARIES or owner == "logger"

    def _blank_texts(self, call: ast.Call) -> None:
        """Empty the texts among what a call is given, those that a variable holds among them."""
        call.args = [self._blanked(value) for value in call.args]
        for keyword in call.keywords:
            keyword.value = self._blanked(keyword.value)

    def _blanked(self, value: ast.expr) -> ast.expr:
        if isinstance(value, ast.Name) and value.id in self.texts:
            return ast.Constant("")
        if not _is_text(value):
            return value
        return ast.Constant("") if self.is_pure(value) else _Wordless().visit(value)


def _is_error(name: str) -> bool:
    """Tell by its name whether a class is an error."""
    return name.endswith(("Error", "Exception"))


class _Wordless(ast.NodeTransformer):
    """Empties every text."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node


def _is_text(value: ast.expr) -> bool:
    """Tell by its form whether an expression is a text."""
    if isinstance(value, ast.JoinedStr) or _is_constant(value, str):
        return True
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _is_text(value.left) or _is_text(value.right)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod):
        return _is_text(value.left)
    if isinstance(value, ast.IfExp):
        return _is_text(value.body) or _is_text(value.orelse)
    called = value.func if isinstance(value, ast.Call) else None
    return isinstance(called, ast.Attribute) and _is_text(called.value)


def _texts_of(function: ast.FunctionDef) -> set[str]:
    """List the local variables that never hold anything but a text."""
    nodes = list(ast.walk(function))
    stored = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    texts = [
        node.targets[0].id
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and len(node.targets) == 1
        and _is_text(node.value)
    ]
    return {name for name in texts if stored.count(name) == texts.count(name)}


def _imported_uncounted(tree: ast.Module) -> set[str]:
    """List the names that come from modules that decide no number."""
    return {
        name.asname or name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and is_uncounted(node.module or "")
        for name in node.names
    }


def _drop_unused(tree: ast.Module, is_pure: Callable[[ast.AST], bool]) -> None:
    """Drop local variables that served only what was taken out."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        dropped = True
        while dropped:
            dropped = False
            nodes = list(ast.walk(function))
            read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
            read |= {n for g in nodes if isinstance(g, ast.Global | ast.Nonlocal) for n in g.names}
            for node in nodes:
                if isinstance(node, ast.ClassDef):
                    continue  # Its variables are fields.
                for field in ("body", "orelse", "finalbody"):
                    block = getattr(node, field, None)
                    if isinstance(block, list):
                        left = [s for s in block if not _is_unused(s, read, is_pure)]
                        dropped |= len(left) < len(block)
                        setattr(node, field, left)


def _drop_unused_constants(tree: ast.Module, is_pure: Callable[[ast.AST], bool]) -> None:
    """Drop private constants of a module that served only what was taken out."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    tree.body = [
        statement
        for statement in tree.body
        if not (
            isinstance(statement, ast.Assign)
            and all(re.match("_[A-Z]", _name_of(target)) for target in statement.targets)
            and _is_unused(statement, read, is_pure)
        )
    ]


def _is_unused(statement: ast.stmt, read: set[str], is_pure: Callable[[ast.AST], bool]) -> bool:
    if isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets, value = [statement.target], statement.value
    else:
        return False
    is_name = all(isinstance(target, ast.Name) and target.id not in read for target in targets)
    return is_name and is_pure(value)


def _with_names(node: ast.Import | ast.ImportFrom, counts: Callable[[str], bool]) -> ast.AST | None:
    node.names = [name for name in node.names if counts(name.name)]
    return node if node.names else None


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _name_of(node: ast.expr) -> str:
    """Return the name of a variable, or the last one of an attribute."""
    return getattr(node, "id", getattr(node, "attr", ""))


def _is_constant(node: ast.expr, *kinds: type) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, kinds)
