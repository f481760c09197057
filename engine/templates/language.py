"""From a template's text to closures: Jinja's parser and an allow-list of nodes.

Each node of the syntax tree becomes one function from a `Run` (scope and what is left of the
budget) to a value. A node that has no entry in the tables below does not exist in the language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, TemplateSyntaxError, nodes

from engine.errors import TemplateError
from engine.templates.filters import FILTERS, TESTS, exact
from engine.templates.running import (
    COMPARISONS,
    Block,
    Json,
    Reference,
    Run,
    UnknownName,
    add,
    binary,
    check_name,
    compared,
    constant,
    divide,
    divide_whole,
    joined,
    lenient,
    lookup,
    loop,
    multiply,
    remainder,
    subscripts,
    subtract,
)
from engine.templates.text import text_of

LONGEST_SOURCE: Final = 8 * 1024
"""Characters of one template."""
DEEPEST: Final = 50
"""Expressions within expressions."""


_KEYWORDS: Final = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None")
)
_NAME = r"(?!_)[A-Za-z]\w*"
_SIMPLE = re.compile(rf"\{{\{{ *({_NAME}(?:\.{_NAME})*) *\}}\}}", re.ASCII)
_ENVIRONMENT = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701  (no HTML)


def parse(source: str, *, statements: bool) -> tuple[Block, tuple[Reference, ...], bool]:
    """Return the evaluator, what the template names, and whether it is one expression.

    Raises TemplateError for whatever breaks a rule, with its line.
    """
    if len(source) > LONGEST_SOURCE:
        raise TemplateError("The template is too long", f"at most {LONGEST_SOURCE} characters")
    return _parse_simple(source) or _parse_full(source, statements)


def _parse_simple(source: str) -> tuple[Block, tuple[Reference, ...], bool] | None:
    """Read texts with nothing but dotted names in braces, as nearly all are, without a parser."""
    parts = _SIMPLE.split(source)
    texts, chains = parts[::2], [tuple(chain.split(".")) for chain in parts[1::2]]
    if any(mark in text for text in texts for mark in ("{{", "{%", "{#", "}}", "\r")):
        return None
    if any(chain[0] in _KEYWORDS or chain[0] in ("secrets", "self") for chain in chains):
        return None
    references = []
    blocks: list[Block] = []
    line = 1
    for text, chain in zip(texts, [*chains, ()], strict=True):
        if text:
            blocks.append(constant(text))
        line += text.count("\n")
        if chain:
            references.append(Reference(chain, line))
            blocks.append(lookup(chain))
    if len(blocks) == 1 and chains:
        return blocks[0], tuple(references), True
    return joined(blocks), tuple(references), False


def _parse_full(source: str, statements: bool) -> tuple[Block, tuple[Reference, ...], bool]:
    try:
        tree = _ENVIRONMENT.parse(source)
        compiler = _Compiler(statements)
        alone = _only_expression(tree)
        block = compiler.expression(alone) if alone else compiler.body(tree.body)
    except TemplateSyntaxError as error:
        raise TemplateError(
            f"The template cannot be read: {error.message}", f"line {error.lineno} of {source!r}"
        ) from None
    except RecursionError:
        raise TemplateError("The template is nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise TemplateError(f"The template cannot be read: {error}") from None
    return block, tuple(compiler.references), alone is not None


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    match tree.body:
        case [nodes.Output(nodes=[nodes.TemplateData()])]:
            return None
        case [nodes.Output(nodes=[only])]:
            return only
    return None


@dataclass(slots=True)
class _Compiler:
    """Turns the nodes of one template into closures and notes what they name."""

    statements: bool
    references: list[Reference] = field(default_factory=list)
    _bound: list[str] = field(default_factory=list)
    _depth: int = 0

    def body(self, parts: list[nodes.Node]) -> Block:
        """Compile what renders to text."""
        return joined([self._statement(part) for part in parts])

    def expression(self, node: nodes.Node) -> Block:
        """Compile what gives a value."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise TemplateError("The template is nested too deeply", f"at most {DEEPEST} levels")
        kind = type(node)
        if kind in (nodes.Name, nodes.Getattr, nodes.Getitem):
            block = self._chain(node)
        elif kind in _OPERATORS:
            block = binary(
                _OPERATORS[kind],
                self.expression(node.left),  # type: ignore[attr-defined]
                self.expression(node.right),  # type: ignore[attr-defined]
            )
        else:
            compile_node = _EXPRESSIONS.get(kind)
            if compile_node is None:
                raise _refused(node)
            block = compile_node(self, node)
        self._depth -= 1
        return block

    def _statement(self, node: nodes.Node) -> Block:
        if isinstance(node, nodes.Output):
            return joined([self.expression(part) for part in node.nodes])
        if isinstance(node, (nodes.If, nodes.For)) and not self.statements:
            word = "if" if isinstance(node, nodes.If) else "for"
            raise TemplateError(
                f"{{% {word} %}} is not allowed here (line {node.lineno})",
                "statements stand only in the texts of tickets and in HTTP bodies",
                "Use an inline condition: {{ a if b else c }}",
            )
        if isinstance(node, nodes.If):
            return self._if(node)
        if isinstance(node, nodes.For):
            return self._for(node)
        raise _refused(node)

    def _if(self, node: nodes.If) -> Block:
        arms = [(self.expression(node.test), self.body(node.body))]
        arms += [(self.expression(arm.test), self.body(arm.body)) for arm in node.elif_]
        otherwise = self.body(node.else_)

        def run_if(run: Run) -> Json:
            for test, body in arms:
                if test(run):
                    return body(run)
            return otherwise(run)

        return run_if

    def _for(self, node: nodes.For) -> Block:
        if node.recursive or not isinstance(node.target, nodes.Name):
            raise TemplateError(f"A loop has one name (line {node.lineno})", "{% for x in list %}")
        name = node.target.name
        check_name(name, node.lineno)
        items = self.expression(node.iter)
        self._bound += [name, "loop"]
        test = self.expression(node.test) if node.test else None
        body = self.body(node.body)
        del self._bound[-2:]
        return loop(name, items, test, body, self.body(node.else_))

    def _chain(self, node: nodes.Node) -> Block:
        """Compile a name with its attributes and subscripts, constant ones at once."""
        keys: list[str | int | Block] = []
        while not isinstance(node, nodes.Name):
            if isinstance(node, nodes.Getattr):
                keys.append(node.attr)
                node = node.node
            elif isinstance(node, nodes.Getitem):
                keys.append(self._subscript(node))
                node = node.node
            else:
                for key in keys:
                    check_name(key, node.lineno)
                return subscripts(self.expression(node), keys[::-1])
        chain: list[str | int] = [node.name]
        keys.reverse()
        while keys and not callable(keys[0]):
            chain.append(keys.pop(0))  # type: ignore[arg-type]
        for part in chain:
            check_name(part, node.lineno)
        if chain[0] == "secrets" and len(chain) != 2:
            raise TemplateError("secrets is asked by key", "secrets.KEY", "Name one key")
        if chain[0] not in self._bound:
            self.references.append(Reference(tuple(chain), node.lineno))
        return subscripts(lookup(tuple(chain)), keys)

    def _subscript(self, node: nodes.Getitem) -> str | int | Block:
        match node.arg:
            case nodes.Const(value=bool()):
                raise TemplateError("A subscript is a text or a whole number")
            case nodes.Const(value=str() | int() as key):
                return key
            case nodes.Slice():
                raise _refused(node.arg)
        return self.expression(node.arg)


# Expressions: one small compiler a node.


def _data(_compiler: _Compiler, node: Any) -> Block:
    return constant(node.data)


def _const(_compiler: _Compiler, node: Any) -> Block:
    value = node.value
    if isinstance(value, float):
        value = Decimal(repr(value))
        exact(value)
    return constant(value)


def _list(compiler: _Compiler, node: Any) -> Block:
    parts = [compiler.expression(item) for item in node.items]
    return lambda run: run.gather([part(run) for part in parts])


def _and(compiler: _Compiler, node: Any) -> Block:
    left, right = compiler.expression(node.left), compiler.expression(node.right)
    return lambda run: left(run) and right(run)


def _or(compiler: _Compiler, node: Any) -> Block:
    left, right = compiler.expression(node.left), compiler.expression(node.right)
    return lambda run: left(run) or right(run)


def _not(compiler: _Compiler, node: Any) -> Block:
    inner = compiler.expression(node.node)
    return lambda run: not inner(run)


def _negative(compiler: _Compiler, node: Any) -> Block:
    inner = compiler.expression(node.node)
    return lambda run: -exact(inner(run))


def _positive(compiler: _Compiler, node: Any) -> Block:
    inner = compiler.expression(node.node)
    return lambda run: exact(inner(run))


def _choice(compiler: _Compiler, node: Any) -> Block:
    test, this = compiler.expression(node.test), compiler.expression(node.expr1)
    other = compiler.expression(node.expr2) if node.expr2 else constant(None)
    return lambda run: this(run) if test(run) else other(run)


def _concat(compiler: _Compiler, node: Any) -> Block:
    parts = [compiler.expression(part) for part in node.nodes]
    return lambda run: run.write("".join(text_of(part(run)) for part in parts))


def _compare(compiler: _Compiler, node: Any) -> Block:
    first = compiler.expression(node.expr)
    rest = [(COMPARISONS[op.op], compiler.expression(op.expr)) for op in node.ops]

    def run_compare(run: Run) -> bool:
        left = first(run)
        for compare, block in rest:
            right = block(run)
            if not compared(run, compare, left, right):
                return False
            left = right
        return True

    return run_compare


def _filter(compiler: _Compiler, node: Any) -> Block:
    if node.node is None:
        raise _refused(node)
    value = compiler.expression(node.node)
    if node.name not in FILTERS:
        raise UnknownName(
            f"There is no filter {node.name!r} (line {node.lineno})", node.name, FILTERS
        )
    function, fewest, most = FILTERS[node.name]
    arguments = [compiler.expression(argument) for argument in _arguments(node)]
    if not fewest <= len(arguments) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise TemplateError(f"The filter {node.name} takes {wanted} arguments (line {node.lineno})")
    if node.name == "default":
        value = lenient(value)

    def run_filter(run: Run) -> Json:
        given = [value(run), *(argument(run) for argument in arguments)]
        run.read(*given)
        return function(*given)

    return run_filter


def _test(compiler: _Compiler, node: Any) -> Block:
    value = compiler.expression(node.node)
    if node.name not in TESTS:
        raise UnknownName(f"There is no test {node.name!r} (line {node.lineno})", node.name, TESTS)
    function, count = TESTS[node.name]
    if len(_arguments(node)) != count:
        raise TemplateError(f"The test {node.name} takes no arguments (line {node.lineno})")
    if node.name in ("defined", "undefined"):
        value = lenient(value)
    return lambda run: function(value(run))


def _arguments(node: Any) -> list[nodes.Node]:
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise TemplateError(f"{node.name} takes its arguments by position (line {node.lineno})")
    return list(node.args)


_OPERATORS: Final[Mapping[type[nodes.Node], Callable[[Run, Json, Json], Json]]] = {
    nodes.Add: add,
    nodes.Sub: subtract,
    nodes.Mul: multiply,
    nodes.Div: divide,
    nodes.FloorDiv: divide_whole,
    nodes.Mod: remainder,
}

_EXPRESSIONS: Final[Mapping[type[nodes.Node], Callable[[_Compiler, Any], Block]]] = {
    nodes.TemplateData: _data,
    nodes.Const: _const,
    nodes.List: _list,
    nodes.Tuple: _list,
    nodes.And: _and,
    nodes.Or: _or,
    nodes.Not: _not,
    nodes.Neg: _negative,
    nodes.Pos: _positive,
    nodes.CondExpr: _choice,
    nodes.Concat: _concat,
    nodes.Compare: _compare,
    nodes.Filter: _filter,
    nodes.Test: _test,
}


def _refused(node: nodes.Node) -> TemplateError:
    word = _WORDS.get(type(node), type(node).__name__.lower())
    return TemplateError(
        f"{word} is not allowed in a template (line {node.lineno})",
        "templates are names, comparisons, arithmetic, inline conditions and filters",
    )


_WORDS: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Call: "A call",
    nodes.Pow: "The power operator **",
    nodes.Dict: "A mapping",
    nodes.Slice: "A slice",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Macro: "macro",
    nodes.Block: "block",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.FilterBlock: "A filter block",
    nodes.CallBlock: "A call block",
    nodes.With: "with",
}
