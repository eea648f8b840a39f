"""Names that want to be something else than text, and the estates they stand in."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from cmdb.model.topology import TopologyEdge
from impact.subgraph import GateSize, Subgraph, SubgraphNode

NAMES = (
    "",
    " ",
    "end",
    '"',
    "\\",
    'a"]; click n0 "javascript:alert(1)"',
    'x" [label="y',
    "a\nb --> c",
    "one\r\ntwo\rthree",
    "a\\nb\\N\\l",
    "<script>alert(1)</script>",
    "]]></data><data key='name'>",
    "&amp; &lt; &#60; #quot; #35;",
    "\x00\x01\x1b[31m\x7f\x9b0m",
    "\u202egnp.exe\u2066\u200f",
    "\ud800 \udfff",
    "\ufffe\uffff",
    "\x85\u2028\u2029",
    "1. list",
    "- dash\n# head",
    "**a** _b_ `c` ~~d~~ [e](f)",
    "    four spaces",
    "$$x^2$$ fa:fa-ban ﬂ°°60¶ß",
    "%%{init: {}}%%",
    "style: #fff;",
    "classDef x fill:#f00;",
    "www.example.com http://x.y a@b.c",
    "C:\\new\\temp",
    "db-01.example_com",
    "网络服务",
    "إنتاج",
    "👩‍🚀 e\u0301\u0301\u0301",
    "n" * 10_000,
)

ANY_CHARACTER = st.characters(exclude_categories=())
"""Of all categories, also halves of characters and what is no character."""

hostile_names = st.lists(st.sampled_from(NAMES[:-1]) | st.text(ANY_CHARACTER, max_size=5), max_size=3).map(
    "".join
)


def between(
    names: Sequence[str], group: str = "g", kind: str = "USES", *, ids: Sequence[str] = ()
) -> Subgraph:
    """Items of these names, the first of which needs one of the others, likes the second and owns itself."""
    given = ids or [f"id-{number}" for number in range(len(names))]
    first, others = given[0], given[1:]
    edges = [TopologyEdge(kind, first, other, group, 1) for other in others]
    edges += [TopologyEdge(kind, first, other, strength="soft") for other in others[:1]]
    edges.append(TopologyEdge(kind, first, first, strength=None))
    nodes = [
        SubgraphNode(item, name, name, name or None, name or None, name or None, number)
        for number, (item, name) in enumerate(zip(given, names, strict=True))
    ]
    return Subgraph(7, tuple(nodes), tuple(edges), {(first, group): GateSize(1, max(1, len(others)))})


@st.composite
def hostile_subgraphs(draw: st.DrawFn) -> Subgraph:
    """Small subgraphs in which every text is hostile, ids too."""
    ids = draw(st.lists(hostile_names, min_size=1, max_size=4, unique=True))
    names = [draw(hostile_names) for _ in ids]
    return between(names, draw(hostile_names), draw(hostile_names), ids=ids)
