"""The whole table of the reference interpreter: a row for each op of the op table."""

from __future__ import annotations

from typing import Final

from lineiform.ir.interpret import exceptions, objects, values
from lineiform.ir.interpret.machine import Row

ROWS: Final[dict[str, Row]] = {**values.ROWS, **objects.ROWS, **exceptions.ROWS}
