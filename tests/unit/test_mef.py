"""Open-PSA MEF: what is read, what is written, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from impact.errors import InvalidFaultTree
from impact.fault_tree import BasicEvent, FaultTree, Formula, Gate, HouseEvent
from impact.fault_tree_analysis import analyse
from impact.mef import export_fault_tree, import_fault_tree
from tests.fault_trees import trees


def document(*, gates: str = "", data: str = "", before: str = "") -> str:
    return (
        f'<?xml version="1.0"?>\n{before}<opsa-mef>\n<define-fault-tree name="t">\n{gates}\n</define-fault-tree>\n'
        f"<model-data>\n{data}\n</model-data>\n</opsa-mef>"
    )


def event(name: str, probability: float = 0.1) -> str:
    return f'<define-basic-event name="{name}"><float value="{probability}"/></define-basic-event>'


def gate(formula: str, name: str = "top") -> str:
    return f'<define-gate name="{name}">{formula}</define-gate>'


A, B, C = ('<basic-event name="a"/>', '<basic-event name="b"/>', '<event name="c"/>')
ABC = event("a") + event("b", 0.2) + event("c", 0.4)


@settings(deadline=None, max_examples=30)
@given(trees())
def test_what_is_written_means_the_same_when_it_is_read(tree: FaultTree) -> None:
    read = import_fault_tree(export_fault_tree(tree))
    assert (read.name, read.top, read.basic_events, read.house_events) == (
        tree.name,
        tree.top,
        tree.basic_events,
        tree.house_events,
    )
    assert all(read.gates[name] == tree.gates[name] for name in read.gates)
    before, after = analyse(tree), analyse(read)
    assert after.probability == before.probability
    assert after.cut_sets.by_order == before.cut_sets.by_order


def test_names_and_labels_with_signs_of_xml_survive() -> None:
    tree = FaultTree.build(
        'a "tree" & <more>',
        [Gate("g'1", Formula("or", ("é & <b>",)), "why & <how>")],
        [BasicEvent("é & <b>", 1e-300, 'the "label"')],
        [HouseEvent("h", True, "on")],
    )
    assert import_fault_tree(export_fault_tree(tree)) == tree
    assert import_fault_tree(export_fault_tree(tree).encode()) == tree


@pytest.mark.parametrize(
    ("formula", "probability"),
    [
        (f"<or>{A}{B}</or>", 0.28),
        (f"<and>{A}<not>{B}</not></and>", 0.08),
        (f"<xor>{A}{B}</xor>", 0.26),
        (f"<nand>{A}{B}</nand>", 0.98),
        (f"<nor>{A}{B}</nor>", 0.72),
        (f"<imply>{B}{A}</imply>", 0.82),
        (f"<iff>{A}{B}</iff>", 0.74),
        (f'<atleast min="2">{A}{B}{C}</atleast>', 0.124),
        (f'<cardinality min="1" max="2">{A}{B}{C}</cardinality>', 0.56),
        (f'<cardinality min="0" max="0">{A}{B}{C}</cardinality>', 0.432),
        (B, 0.2),
        ('<and><constant value="true"/><basic-event name="a"/></and>', 0.1),
        ('<or><constant value="false"/><basic-event name="a"/></or>', 0.1),
    ],
)
def test_every_connective_means_what_the_format_says(formula: str, probability: float) -> None:
    tree = import_fault_tree(document(gates=gate(formula), data=ABC))
    assert analyse(tree).probability == pytest.approx(probability)


def test_comments_attributes_and_labels_are_passed_over_or_kept() -> None:
    attributes = '<attributes><attribute name="x" value="1"/></attributes>'
    formula = f"<label>No  light</label>{attributes}<or>{A}<!-- b -->{B}</or>"
    tree = import_fault_tree(document(gates=f"<!-- the gates -->{gate(formula)}", data=ABC))
    assert tree.gates["top"] == Gate("top", Formula("or", ("a", "b")), "No  light")


def test_components_and_events_inside_the_tree_belong_to_it() -> None:
    inner = f'<define-component name="k">{gate(A, "inner")}{event("a")}</define-component>'
    house = '<define-house-event name="h"><constant value="true"/></define-house-event>'
    top = gate('<and><gate name="inner"/><house-event name="h"/></and>')
    tree = import_fault_tree(document(gates=inner + top, data=house))
    assert (tree.top, set(tree.gates), set(tree.basic_events), set(tree.house_events)) == (
        "top",
        {"inner", "top"},
        {"a"},
        {"h"},
    )


def test_of_several_trees_one_is_named() -> None:
    both = document(
        gates=gate(A) + '</define-fault-tree><define-fault-tree name="u">' + gate(B, "u"), data=ABC
    )
    assert import_fault_tree(both, name="u").top == "u"
    with pytest.raises(InvalidFaultTree, match=r"has 2 fault trees \('t', 'u'\); name one of them"):
        import_fault_tree(both)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1: is not XML: no element found"),
        ("<opsa-mef>", "line 1, column 11: is not XML"),
        ("<html/>", "line 1, <html>: is not the root of a MEF document"),
        (document(gates=gate(A)), 'line 4, <basic-event name="a">: is not defined'),
        (document(gates=gate('<gate name="a"/>'), data=ABC), 'line 4, <gate name="a">: is a basic-event'),
        (
            document(gates=gate("<maybe/>")),
            "line 4, <maybe>: is not understood here; the formulas that are read",
        ),
        (document(gates=gate(A + B), data=ABC), 'line 4, <define-gate name="top">: holds 2 formulas'),
        (document(gates=gate(""), data=ABC), 'line 4, <define-gate name="top">: holds 0 formulas'),
        (document(gates="\n" + gate(A, "a"), data=ABC), "is defined in line 8 already"),
        (document(gates=gate("<or/>")), "line 4, gate 'top': has an empty `or`"),
        (document(gates=gate('<or><gate name="top"/></or>')), r"0 gates are used by no other gate"),
        (document(gates=gate(f"<atleast>{A}</atleast>"), data=ABC), "line 4, <atleast>: has no `min`"),
        (
            document(gates=gate(f'<atleast min="-1">{A}</atleast>'), data=ABC),
            "has min='-1'; give a whole number",
        ),
        (
            document(gates=gate(f'<atleast min="2">{A}</atleast>'), data=ABC),
            "line 4, gate 'top': wants at least 2 of 1",
        ),
        (document(gates=gate(f"<imply>{A}</imply>"), data=ABC), "line 4, <imply>: has 1 arguments"),
        (document(gates="<define-gate/>"), "line 4, <define-gate>: has no `name`"),
        (document(data=event("a", 2)), "line 7, <float>: has the probability 2"),
        (
            document(data='<define-basic-event name="a"><float value="x"/></define-basic-event>'),
            "has value='x'",
        ),
        (document(data='<define-basic-event name="a"/>'), "holds 0 formulas or values"),
        (
            document(data='<define-basic-event name="a"><exponential/></define-basic-event>'),
            "line 7, <exponential>: is not understood here; only constant probabilities are read",
        ),
        (
            document(data='<define-CCF-group name="x"/>'),
            'line 7, <define-CCF-group name="x">: is not understood',
        ),
        (document(gates=gate(f"<or>{A} or {B}</or>"), data=ABC), "line 4, <or>: has text in it"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InvalidFaultTree, match=said):
        import_fault_tree(text)


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "before",
    [
        f'<!DOCTYPE opsa-mef [<!ENTITY a0 "ha">{LAUGHS}]>',
        '<!DOCTYPE opsa-mef [<!ENTITY file SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE opsa-mef SYSTEM "http://example.org/mef.dtd">',
        '<!DOCTYPE opsa-mef PUBLIC "-//x" "http://example.org/mef.dtd">',
        '<!DOCTYPE opsa-mef [<!ENTITY % p SYSTEM "http://example.org/p"> %p;]>',
    ],
)
def test_entities_and_external_definitions_are_refused(before: str) -> None:
    text = document(before=before, gates=gate("<label>&a9;</label>" + A), data=ABC)
    with pytest.raises(
        InvalidFaultTree, match="line 2: defines or refers to an entity or an external definition"
    ):
        import_fault_tree(text)


def test_a_plain_doctype_does_no_harm() -> None:
    assert import_fault_tree(document(before="<!DOCTYPE opsa-mef>\n", gates=gate(A), data=ABC)).top == "top"


@pytest.mark.parametrize("depth", [150, 100_000])
def test_endless_depth_is_refused(depth: int) -> None:
    text = document(gates=gate("<not>" * depth + A + "</not>" * depth), data=ABC)
    with pytest.raises(InvalidFaultTree, match="nested"):
        import_fault_tree(text)


def test_a_name_that_xml_cannot_hold_is_not_written() -> None:
    tree = FaultTree.build("t", [Gate("g", Formula("or", ("a\x00",)))], [BasicEvent("a\x00", 0.1)])
    with pytest.raises(InvalidFaultTree, match="has a character that XML cannot hold"):
        export_fault_tree(tree)
