# SPDX-License-Identifier: MIT
"""The directive `cost-table`: what the protocols declare to cost, asked of the engine itself.

The declarations are those that the conformance tests hold the engine to, byte by byte.
"""

from collections.abc import Callable, Iterator

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from cryptensor import _C

PRECISION = 16
MANY = 100_000
ROW = 128
cost = _C.cost

Declared = Callable[[int], tuple[int, dict]]


def _each(declare: Callable[[int], dict]) -> Declared:
    return lambda parties: (MANY, declare(parties))


def _rows(declare: Callable[[int], dict]) -> Declared:
    return lambda parties: (ROW * ROW, declare(parties))


def _activation(name: str) -> Declared:
    return _each(lambda p: cost.activation(p, PRECISION, name, MANY, False))


OPERATIONS: dict[str, Declared] = {
    "+, -, sum, reshape, index; times a public number": _each(
        lambda p: {"rounds": 0, "bytes_sent": 0, "dealer_bytes": 0}
    ),
    "reveal to all": _each(lambda p: cost.reveal(MANY, p)),
    "product of two secrets": _each(lambda p: cost.product(MANY, MANY, MANY, p)),
    "square": _each(lambda p: cost.square(MANY, p)),
    "relu, comparison": _each(lambda p: cost.relu(MANY, p, 0)),
    "==, !=": _each(lambda p: cost.is_zero(MANY, p)),
    "clamp": _each(lambda p: cost.piecewise(MANY, p, [-(1 << PRECISION), 1 << PRECISION], 1)),
    **{name: _activation(name) for name in ("sigmoid", "tanh", "erf", "gelu", "silu", "softplus")},
    "exp": _each(lambda p: cost.exp(p, PRECISION, MANY)),
    "log": _each(lambda p: cost.log(p, PRECISION, MANY)),
    "sqrt": _each(lambda p: cost.power(p, PRECISION, MANY, 0.5)),
    "rsqrt": _each(lambda p: cost.power(p, PRECISION, MANY, -0.5)),
    "1 / x": _each(lambda p: cost.reciprocal(p, PRECISION, MANY, None)),
    "sin and cos": _each(lambda p: cost.sin_cos(p, PRECISION, MANY)),
    f"softmax of {ROW} in a row": _rows(lambda p: cost.softmax(p, PRECISION, ROW, ROW)),
    f"maximum of {ROW} in a row": _rows(lambda p: cost.largest(p, PRECISION, ROW, ROW, False)),
    f"sort of {ROW} in a row": _rows(lambda p: cost.sort(p, PRECISION, ROW, ROW, False)),
    f"layer_norm of {ROW} in a row": _rows(
        lambda p: cost.standardize(p, PRECISION, ROW, ROW, 1e-5)
    ),
}


def lines(parties: int) -> Iterator[str]:
    """The table in Markdown, for so many parties."""
    yield "| operation | rounds | bytes online | bytes dealt |"
    yield "|---|--:|--:|--:|"
    for name, declare in OPERATIONS.items():
        elements, declared = declare(parties)
        online, dealt = (declared[key] / elements for key in ("bytes_sent", "dealer_bytes"))
        yield f"| {name} | {declared['rounds']} | {online:.1f} | {dealt:.1f} |"


class CostTable(SphinxDirective):
    """`cost-table`, with the number of parties as its argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        for source in (__file__, _C.__file__):
            self.env.note_dependency(source)
        return self.parse_content_to_nodes_of(lines(int(self.arguments[0])))

    def parse_content_to_nodes_of(self, text: Iterator[str]) -> list[nodes.Node]:
        parent = nodes.container()
        self.state.nested_parse(StringList(list(text), "costs"), self.content_offset, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("cost-table", CostTable)
    return {"parallel_read_safe": True}
