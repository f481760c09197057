"""From a template's text to closures: Jinja's parser, an allow-list of nodes, an evaluator.

Each node of the syntax tree becomes one function from a `Run` (scope and what is left of the
budget) to a value. A node that has no entry in the tables below does not exist in the language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, TemplateSyntaxError, nodes

from engine.errors import TemplateError
from engine.templates.filters import FILTERS, TESTS, bounded_text, exact, is_number
from engine.templates.text import text_of

LONGEST_SOURCE: Final = 8 * 1024
"""Characters of one template."""
DEEPEST: Final = 50
"""Expressions within expressions."""
MOST_WORK: Final = 100_000
"""Rounds of loops in one rendering."""
MOST_OUTPUT: Final = 1024 * 1024
"""Characters that one rendering makes in all."""

Json = Any
Block = Callable[["Run"], Json]

_KEYWORDS: Final = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None")
)
_NAME = r"(?!_)[A-Za-z]\w*"
_SIMPLE = re.compile(rf"\{{\{{ *({_NAME}(?:\.{_NAME})*) *\}}\}}", re.ASCII)
_ENVIRONMENT = Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701  (no HTML)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a template names: the chain of constant keys, like ("steps", "net", "outputs", "id")."""

    chain: tuple[str | int, ...]
    line: int

    def __str__(self) -> str:
        """Return the chain as a template writes it."""
        first, *rest = self.chain
        return str(first) + "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in rest)


class SecretLookup:
    """The `secrets` of a scope: its one capability is to give the value of a key."""

    __slots__ = ("_lookup",)

    def __init__(self, lookup: Callable[[str], str]) -> None:
        """Take the function that knows the values; it raises TemplateError for an unknown key."""
        self._lookup = lookup

    def __getitem__(self, key: str) -> str:
        return self._lookup(key)

    def __repr__(self) -> str:
        return "<secrets>"


@dataclass(slots=True)
class Run:
    """One rendering: what templates see, and how much work and text is left."""

    scope: Mapping[str, Any]
    work: int = MOST_WORK
    output: int = MOST_OUTPUT

    def spend(self, rounds: int) -> None:
        """Count rounds of a loop; raises TemplateError when there are too many."""
        self.work -= rounds
        if self.work < 0:
            raise TemplateError(
                "The template takes too long", f"loops make {MOST_WORK} rounds at most"
            )

    def write(self, text: str) -> str:
        """Count text that is made; raises TemplateError when it is too much."""
        self.output -= len(text)
        if self.output < 0:
            raise TemplateError(
                "The result is too long", f"at most {MOST_OUTPUT} characters are made"
            )
        return bounded_text(text)


class UnknownName(TemplateError):
    """A name, key, filter or test does not exist; `known` are those that do."""

    def __init__(
        self, what: str, name: object, known: Iterable[object] = (), why: str = ""
    ) -> None:
        """Take the sentence, the name and what there is instead."""
        super().__init__(what, why or f"there are {_names(known)}")
        self.name = name
        self.known = tuple(str(other) for other in known)


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
            blocks.append(_constant(text))
        line += text.count("\n")
        if chain:
            references.append(Reference(chain, line))
            blocks.append(_lookup(chain))
    if len(blocks) == 1 and chains:
        return blocks[0], tuple(references), True
    return _joined(blocks), tuple(references), False


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
        return _joined([self._statement(part) for part in parts])

    def expression(self, node: nodes.Node) -> Block:
        """Compile what gives a value."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise TemplateError("The template is nested too deeply", f"at most {DEEPEST} levels")
        kind = type(node)
        if kind in (nodes.Name, nodes.Getattr, nodes.Getitem):
            block = self._chain(node)
        elif kind in _OPERATORS:
            block = _binary(
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
            return _joined([self.expression(part) for part in node.nodes])
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
        _check_name(name, node.lineno)
        items = self.expression(node.iter)
        self._bound += [name, "loop"]
        test = self.expression(node.test) if node.test else None
        body = self.body(node.body)
        del self._bound[-2:]
        return _loop(name, items, test, body, self.body(node.else_))

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
                    _check_name(key, node.lineno)
                return _subscripts(self.expression(node), keys[::-1])
        chain: list[str | int] = [node.name]
        keys.reverse()
        while keys and not callable(keys[0]):
            chain.append(keys.pop(0))  # type: ignore[arg-type]
        for part in chain:
            _check_name(part, node.lineno)
        if chain[0] == "secrets" and len(chain) != 2:
            raise TemplateError("secrets is asked by key", "secrets.KEY", "Name one key")
        if chain[0] not in self._bound:
            self.references.append(Reference(tuple(chain), node.lineno))
        return _subscripts(_lookup(tuple(chain)), keys)

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
    return _constant(node.data)


def _const(_compiler: _Compiler, node: Any) -> Block:
    value = node.value
    if isinstance(value, float):
        value = Decimal(repr(value))
        exact(value)
    return _constant(value)


def _list(compiler: _Compiler, node: Any) -> Block:
    parts = [compiler.expression(item) for item in node.items]
    return lambda run: [part(run) for part in parts]


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
    other = compiler.expression(node.expr2) if node.expr2 else _constant(None)
    return lambda run: this(run) if test(run) else other(run)


def _concat(compiler: _Compiler, node: Any) -> Block:
    parts = [compiler.expression(part) for part in node.nodes]
    return lambda run: run.write("".join(text_of(part(run)) for part in parts))


def _compare(compiler: _Compiler, node: Any) -> Block:
    first = compiler.expression(node.expr)
    rest = [(_COMPARISONS[op.op], compiler.expression(op.expr)) for op in node.ops]

    def run_compare(run: Run) -> bool:
        left = first(run)
        for compare, block in rest:
            right = block(run)
            if not _compared(compare, left, right):
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
        value = _lenient(value)
    return lambda run: function(value(run), *(argument(run) for argument in arguments))


def _test(compiler: _Compiler, node: Any) -> Block:
    value = compiler.expression(node.node)
    if node.name not in TESTS:
        raise UnknownName(f"There is no test {node.name!r} (line {node.lineno})", node.name, TESTS)
    function, count = TESTS[node.name]
    if len(_arguments(node)) != count:
        raise TemplateError(f"The test {node.name} takes no arguments (line {node.lineno})")
    if node.name in ("defined", "undefined"):
        value = _lenient(value)
    return lambda run: function(value(run))


def _arguments(node: Any) -> list[nodes.Node]:
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise TemplateError(f"{node.name} takes its arguments by position (line {node.lineno})")
    return list(node.args)


def _lenient(block: Block) -> Block:
    """Give None where a name does not exist."""

    def run_lenient(run: Run) -> Json:
        try:
            return block(run)
        except UnknownName:
            return None

    return run_lenient


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

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "lteq": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gteq": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "notin": lambda a, b: a not in b,
}


def _compared(compare: Callable[[Any, Any], bool], left: Json, right: Json) -> bool:
    try:
        return bool(compare(left, right))
    except TypeError:
        raise TemplateError(
            f"{text_of(left)!r} and {text_of(right)!r} cannot be compared", "they differ in kind"
        ) from None


# Arithmetic: exact and bounded.


def _add(run: Run, left: Json, right: Json) -> Json:
    if isinstance(left, str) and isinstance(right, str):
        return run.write(left + right)
    return exact(left) + exact(right)


def _divide(_run: Run, left: Json, right: Json) -> Json:
    result = Decimal(exact(left)) / Decimal(exact(right))
    whole = is_number(left) and isinstance(left, int) and isinstance(right, int)
    return int(result) if whole and result == int(result) else result


_OPERATORS: Final[Mapping[type[nodes.Node], Callable[[Run, Json, Json], Json]]] = {
    nodes.Add: _add,
    nodes.Sub: lambda _, left, right: exact(left) - exact(right),
    nodes.Mul: lambda _, left, right: exact(left) * exact(right),
    nodes.Div: _divide,
    nodes.FloorDiv: lambda _, left, right: exact(left) // exact(right),
    nodes.Mod: lambda _, left, right: exact(left) % exact(right),
}


def _binary(operate: Callable[[Run, Json, Json], Json], left: Block, right: Block) -> Block:
    def run_binary(run: Run) -> Json:
        try:
            result = operate(run, left(run), right(run))
        except (ArithmeticError, ValueError):
            raise TemplateError("The calculation has no result", "a division by zero?") from None
        return result if isinstance(result, str) else exact(result)

    return run_binary


# Running.


def _constant(value: Json) -> Block:
    return lambda _: value


def _joined(blocks: list[Block]) -> Block:
    return lambda run: run.write("".join(text_of(block(run)) for block in blocks))


def _lookup(chain: tuple[str | int, ...]) -> Block:
    name, *keys = chain

    def run_lookup(run: Run) -> Json:
        try:
            value = run.scope[name]  # type: ignore[index]
        except KeyError:
            raise UnknownName(f"There is no {name!r} here", name, run.scope) from None
        for index, key in enumerate(keys, start=1):
            value = _inside(value, key, chain[:index])
        return value

    return run_lookup


def _subscripts(block: Block, keys: list[str | int | Block]) -> Block:
    if not keys:
        return block

    def run_subscripts(run: Run) -> Json:
        value = block(run)
        for key in keys:
            found = key(run) if callable(key) else key
            _check_name(found, 0)
            value = _inside(value, found, ())
        return value

    return run_subscripts


def _inside(value: Json, key: Json, before: tuple[str | int, ...]) -> Json:
    """Look a key up in plain data; inside None there is None."""
    if value is None:
        return None
    if isinstance(value, SecretLookup):
        return value[str(key)]
    where = str(Reference(before, 0)) if before else "the value"
    try:
        if isinstance(value, Mapping):
            return value[key]
        if isinstance(value, (list, tuple)) and isinstance(key, int):
            return value[key]
    except (KeyError, IndexError, TypeError):
        known = list(value) if isinstance(value, Mapping) else range(len(value))
        raise UnknownName(f"{where} has no {key!r}", key, known) from None
    raise UnknownName(f"{where} has no {key!r}", key, why="it is neither a mapping nor a list")


def _loop(name: str, items: Block, test: Block | None, body: Block, otherwise: Block) -> Block:
    def run_loop(run: Run) -> str:
        found = items(run)
        if found is None:
            found = []
        if not isinstance(found, (list, tuple)):
            raise TemplateError("A loop needs a list", f"it was given {text_of(found)!r}")
        run.spend(len(found) + 1)
        outer = run.scope
        rounds = [{**outer, name: item} for item in found]
        if test is not None:
            rounds = [scope for scope in rounds if _within(run, scope, test)]
        texts = []
        for index, scope in enumerate(rounds):
            scope["loop"] = _position(index, len(rounds))
            texts.append(_within(run, scope, body))
        return "".join(texts) if texts else text_of(otherwise(run))

    return run_loop


def _within(run: Run, scope: Mapping[str, Any], block: Block) -> Json:
    outer, run.scope = run.scope, scope
    try:
        return block(run)
    finally:
        run.scope = outer


def _position(index: int, count: int) -> dict[str, Json]:
    return {
        "index": index + 1,
        "index0": index,
        "first": index == 0,
        "last": index == count - 1,
        "length": count,
    }


def _check_name(key: Json, line: int) -> None:
    if isinstance(key, str) and key.startswith("_"):
        where = f" (line {line})" if line else ""
        raise TemplateError(f"{key!r} cannot be named{where}", "names with a leading _ are closed")


def _names(known: Iterable[object]) -> str:
    shown = sorted(map(str, known))
    return ", ".join(shown[:30]) + (" ..." if len(shown) > 30 else "") if shown else "none"


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
