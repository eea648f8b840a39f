"""What would happen: failure, change, availability, on an immutable topology. Pure: no I/O, no clock."""
