"""Large answers as lines and as columns, against the typed answer, whatever items are called."""

from __future__ import annotations

import io
from itertools import pairwise

import orjson
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyEdge, TopologyItem
from impact.bulk import FIELDS, to_arrow, to_json_lines
from impact.engine import Engine

ids = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=40)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ['"', "\\", "\x1f\x00", "名"]
)
uuids = st.uuids().map(str)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_both_forms_say_what_the_answer_says(data: st.DataObject) -> None:
    chosen = data.draw(
        st.lists(data.draw(st.sampled_from([ids, uuids])), min_size=1, max_size=14, unique=True)
    )
    items = [
        TopologyItem(
            item,
            data.draw(names),
            data.draw(st.sampled_from(["Server", "Rack"])),
            data.draw(st.none() | st.just("hardware")),
            data.draw(st.none() | st.just("live")),
        )
        for item in chosen
    ]
    edges = [TopologyEdge("USES", one, other) for other, one in pairwise(chosen)]
    topology = PackedTopology.build(1, items, edges)
    renamed = [TopologyItem(item.id, item.name + "\n", "Rack") for item in items if data.draw(st.booleans())]
    impact = Engine().simulate_failure(topology.with_changes(2, put_items=renamed), chosen[:1])

    expected = [
        {
            "id": item.id,
            "name": item.name,
            **dict(zip(FIELDS, (item.class_name, item.layer, item.lifecycle, item.criticality), strict=True)),
            "state": impact.states[item.id].value,
            "distance": distance,
        }
        for distance, item in enumerate(impact.topology.items[found] for found in chosen)
    ]
    head, *lines = b"".join(to_json_lines(impact, {"more": 1})).splitlines()
    assert orjson.loads(head)["impact"] == {
        "revision": 2,
        "counts": {**dict.fromkeys(("degraded", "at_risk", "reduced", "protected"), 0), "down": len(chosen)},
        "failed": chosen[:1],
        "more": 1,
    }
    assert sorted(map(orjson.loads, lines), key=lambda line: line["distance"]) == expected
    table = pa.ipc.open_stream(io.BytesIO(b"".join(to_arrow(impact)))).read_all()
    assert sorted(table.to_pylist(), key=lambda row: row["distance"]) == expected
