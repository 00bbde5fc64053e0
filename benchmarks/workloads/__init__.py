"""The workloads in the order of the table: one module each, imported only when it is run."""

from __future__ import annotations

NAMES = {
    "calculator": "calculator",
    "forth": "forth",
    "scheme": "scheme",
    "rules": "rules",
    "brainfuck": "brainfuck",
    "tinydb": "tinydb_query",
    "parsy": "parsy_json",
    "fuzzylogic": "fuzzylogic_rules",
    "validr": "validr_record",
    "voluptuous": "voluptuous_record",
    "jsonschema": "jsonschema_record",
    "skoolkit": "skoolkit_z80",
}
"""Workload name -> module in this package."""
