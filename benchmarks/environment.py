"""What the numbers were measured on: processor, interpreter, versions of everything that takes part."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any


def processor() -> str:
    """The processor's model name and how many of them this process may use."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    model = line.partition(":")[2].strip()
                    break
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} CPUs"


def interpreter() -> str:
    name = platform.python_implementation()
    version = platform.python_version()
    if name == "PyPy":
        number = ".".join(map(str, sys.pypy_version_info[:3]))  # type: ignore[attr-defined]
        version = f"{number} (Python {version})"
    return f"{name} {version}"


def version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def describe() -> dict[str, Any]:
    return {
        "python": interpreter(),
        "executable": sys.executable,
        "machine": processor(),
        "system": f"{platform.system()} {platform.release()}",
    }
