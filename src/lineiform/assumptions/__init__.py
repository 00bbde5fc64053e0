"""What may be relied on, and how a change is noticed.

`raw` reads user objects without running user code; `owners` proves that a cell is stored once; `table` says
for each kind of assumption and each Python version how it is relied on; `watch` turns writes into
notifications; `guards` describes checks as data; `registry` collects the assumptions of a compiled unit.
"""
