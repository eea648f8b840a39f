"""What a CMDB consists of, as pure data: the catalogue, values, items, edges, ChangeSets. No I/O, no clock."""
