"""Lowerings: from the IR to something that runs.  They know nothing of lifters."""
