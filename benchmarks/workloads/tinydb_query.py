"""tinydb: a query of five terms joined by `&`, evaluated over documents as `Table.search` does it.

The user wraps the finished query object, a `QueryInstance` with `__call__`.
"""

from __future__ import annotations

import random
from typing import Any

from tinydb import where

from benchmarks.workload import PACKAGE, Case, Workload


def make_documents(count: int = 64, seed: int = 1) -> list[dict[str, Any]]:
    """Documents of which about half pass every term; one in sixteen lacks a field (an exception inside)."""
    rng = random.Random(seed)
    documents: list[dict[str, Any]] = []
    for number in range(count):
        document: dict[str, Any] = {
            "age": rng.choice([17, 20, 25, 30, 35, 41, 50, 55, 64, 70]),
            "status": rng.choice(["active"] * 9 + ["deleted"]),
            "address": {"city": rng.choice(["Berlin"] * 9 + ["Paris"]), "zip": "10115"},
            "score": rng.randrange(100),
        }
        if number % 16 == 7:
            del document["address"]
        documents.append(document)
    return documents


def make_terms() -> list[Any]:
    return [
        where("age") >= 18,
        where("age") < 65,
        where("status") != "deleted",
        where("address").city == "Berlin",
        where("score") <= 90,
    ]


def residual(value: Any) -> Any:
    try:
        field = value["age"]
    except (KeyError, TypeError):
        return False
    result = field >= 18
    if not result:
        return result
    try:
        field = value["age"]
    except (KeyError, TypeError):
        return False
    result = field < 65
    if not result:
        return result
    try:
        field = value["status"]
    except (KeyError, TypeError):
        return False
    result = field != "deleted"
    if not result:
        return result
    try:
        field = value["address"]["city"]
    except (KeyError, TypeError):
        return False
    result = field == "Berlin"
    if not result:
        return result
    try:
        field = value["score"]
    except (KeyError, TypeError):
        return False
    return field <= 90


def make_guarded(root: Any, terms: list[Any]) -> Any:
    """The residual that checks the mutable attributes on its way: `_test` of each query instance, `_path` of
    each path. The classes and the functions' code are left to notification, the cells to proof."""

    def cells(function: Any) -> dict[str, Any]:
        names = function.__code__.co_freevars
        return {name: cell.cell_contents for name, cell in zip(names, function.__closure__)}

    and4 = root
    and3 = cells(and4._test)["self"]
    and2 = cells(and3._test)["self"]
    and1 = cells(and2._test)["self"]
    and4_test, and3_test, and2_test, and1_test = and4._test, and3._test, and2._test, and1._test
    term1, term2, term3, term4, term5 = terms
    test1, test2, test3, test4, test5 = (term._test for term in terms)
    query1, query2, query3, query4, query5 = (cells(cells(term._test)["runner"])["self"] for term in terms)
    path1, path2, path3, path4, path5 = (q._path for q in (query1, query2, query3, query4, query5))

    def guarded(value: Any) -> Any:
        if not (
            and4._test is and4_test
            and and3._test is and3_test
            and and2._test is and2_test
            and and1._test is and1_test
            and term1._test is test1
        ):
            return root(value)
        try:
            if query1._path is not path1:
                return root(value)
            field = value["age"]
        except (KeyError, TypeError):
            return False
        result = field >= 18
        if not result:
            return result
        if term2._test is not test2:
            return root(value)
        try:
            if query2._path is not path2:
                return root(value)
            field = value["age"]
        except (KeyError, TypeError):
            return False
        result = field < 65
        if not result:
            return result
        if term3._test is not test3:
            return root(value)
        try:
            if query3._path is not path3:
                return root(value)
            field = value["status"]
        except (KeyError, TypeError):
            return False
        result = field != "deleted"
        if not result:
            return result
        if term4._test is not test4:
            return root(value)
        try:
            if query4._path is not path4:
                return root(value)
            field = value["address"]["city"]
        except (KeyError, TypeError):
            return False
        result = field == "Berlin"
        if not result:
            return result
        if term5._test is not test5:
            return root(value)
        try:
            if query5._path is not path5:
                return root(value)
            field = value["score"]
        except (KeyError, TypeError):
            return False
        return field <= 90

    return guarded


def build() -> Case:
    terms = make_terms()
    query = terms[0] & terms[1] & terms[2] & terms[3] & terms[4]
    documents = make_documents()

    def drive(call: Any) -> list[Any]:
        return [call(document) for document in documents]

    return Case(query, drive, len(documents), residual, make_guarded(query, terms))


WORKLOAD = Workload("tinydb", PACKAGE, "document", build, distributions=("tinydb",))
