"""Tiers: entry objects, counters, background compilation, installation, the never-slower policy."""
