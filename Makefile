# Needs only Python (3.11, 3.12 or 3.13) and make; everything else is in tools/matrix.py.
# PYTHON runs the tool itself; which versions are tested is found out by the tool.
PYTHON ?= python3
SECONDS ?= 600

.PHONY: demo test lint roundtrip fuzz bench pythons clean

demo:
	$(PYTHON) tools/matrix.py demo

test:
	$(PYTHON) tools/matrix.py test

lint:
	$(PYTHON) tools/matrix.py lint

roundtrip:
	$(PYTHON) tools/matrix.py roundtrip

fuzz:
	$(PYTHON) tools/matrix.py fuzz --seconds $(SECONDS)

bench:
	$(PYTHON) tools/matrix.py bench

pythons:
	$(PYTHON) tools/matrix.py pythons

clean:
	rm -rf .venv build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
