"""Passes over the IR, each in a file of its own."""
