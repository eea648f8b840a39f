"""Names that no catalogue entry may take."""

from __future__ import annotations

RESERVED = frozenset(
    [
        "id",
        "name",
        "class",
        "lifecycle",
        "version",
        "created_at",
        "updated_at",
        "labels",
        "attributes",
        "history",
        "as_of",
    ]
)
"""Names every item has already, or that the GraphQL contract uses itself; no attribute may take one."""

RESERVED_CLASSES = frozenset(
    [
        "ApiToken",
        "Baseline",
        "CatalogueEntry",
        "DiscoveryRun",
        "IdempotencyKey",
        "IdentityKey",
        "Ledger",
        "Revision",
        "Source",
        "Tombstone",
    ]
)
"""Labels of nodes that are no items: a class of such a name would mix its items with them."""
RESERVED_RELATIONSHIPS = frozenset(["CHANGED", "IDENTIFIES", "RAN", "REPORTED"])
"""Types of relationships that are no edges."""
