"""What agents say: a format becomes observed items, which are identified and planned into ChangeSets.

Importing this package loads nothing: the reference agent (`discovery.agent`) runs on the standard library alone.
"""
