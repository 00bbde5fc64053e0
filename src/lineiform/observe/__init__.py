"""Observation: the event log and everything that reads it."""
