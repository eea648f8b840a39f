"""The reference agent: one machine's inventory as an Observation, read from /proc, /sys and the package database.

    python -m discovery.agent            # print it
    cmdb agent --once                    # send it

Needs the standard library only and no rights: what it may not see it leaves out, and says so. It tells the same of a
machine that stayed the same, whenever it looks: process ids, loads, free space and the like are not configuration.
Every reader takes the root of the file tree, so that tests (and a mounted image) can be read like a running machine.
"""

from __future__ import annotations

from discovery.agent.loop import DeliveryFailed, run_agent
from discovery.agent.report import Inventory, observe, take_inventory

__all__ = ["DeliveryFailed", "Inventory", "observe", "run_agent", "take_inventory"]
