"""The round trip: CPython's own tests, run while the functions of the library under test are transformed.

`python -m tests.roundtrip` is the command; docs/roundtrip.md explains how to read what it prints.
"""
