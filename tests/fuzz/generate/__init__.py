"""The generator of programs: choices in, source text of a module out.

`writer` holds scopes and lines, `expressions`, `statements`, `control` and `functions` hold one production
of the language each, `module` puts closures, classes and mutation steps together.  Productions are rows of
weighted tables.  It never runs what it generates.
"""

from .module import Program, generate

__all__ = ["Program", "generate"]
