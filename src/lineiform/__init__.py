"""Lineiform."""
