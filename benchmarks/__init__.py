"""Measurements of the product against its goals: `python -m benchmarks`, or `make bench`.

Each module named in `benchmarks.registry` measures one theme through the same paths that users take, on a private Neo4j
of its own, and gives figures beside their targets. Where there is another way to do the same, both are measured in one
run, so that the ratio holds on any machine.
"""
