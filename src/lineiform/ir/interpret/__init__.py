"""The reference interpreter: runs the IR slowly and obviously, as the third opinion.

Each op has one small function in a table (``values``, ``objects``, ``exceptions``); ``machine`` walks the
blocks.  The meaning of Python ops is not rebuilt where CPython can be asked: operators, calls, unpacking,
matching and imports are executed by real bytecode or by the C function that the bytecode would call.

What it doesn't do: give callees the frame of the interpreted function.  ``sys._getframe(1)`` shows a frame
with the right code name, file, line and globals, but without its locals; ``locals()``, ``vars()``,
``dir()``, ``eval`` and ``exec`` called without namespaces are answered from the IR's variables.  Each
interpreted call takes seven Python frames of the recursion limit.
"""

from lineiform.ir.interpret.functions import as_callable, interpret, interpret_tree, interpreted_code
from lineiform.ir.interpret.tables import ROWS
from lineiform.ir.interpret.tracebacks import strip_interpreter

__all__ = ["ROWS", "as_callable", "interpret", "interpret_tree", "interpreted_code", "strip_interpreter"]
