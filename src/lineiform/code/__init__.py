"""Compiled units while they live: what stands between written code and the interpreter."""
