"""parsy: the JSON grammar of its documentation, parsing a document of nested objects, arrays and strings.

The user wraps the finished parser, a `Parser` object with `__call__(stream, index)`; recursion goes through a
`forward_declaration`. One operation is one parsed document.
"""

from __future__ import annotations

import json
import re
from typing import Any

from parsy import Result, eof, forward_declaration, regex, seq, string

from benchmarks.workload import PACKAGE, Case, Workload

DOCUMENT = json.dumps(
    {
        "name": "probe\tseven",
        "active": True,
        "position": [12.5, -7, 300.25],
        "tags": ["alpha", "beta", 'gamma "quoted"'],
        "nested": {"empty": [], "none": None, "list": [{"id": 1, "ok": False}, {"id": 2, "ok": True}]},
    },
    indent=1,
)

SPACE = r"\s*"
NUMBER = r"-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?"
PLAIN = r'[^"\\]+'
UNICODE = r"u[0-9a-fA-F]{4}"


def make_grammar() -> Any:
    whitespace = regex(SPACE)

    def lexeme(parser: Any) -> Any:
        return parser << whitespace

    lbrace, rbrace = lexeme(string("{")), lexeme(string("}"))
    lbrack, rbrack = lexeme(string("[")), lexeme(string("]"))
    colon, comma = lexeme(string(":")), lexeme(string(","))
    true = lexeme(string("true")).result(True)
    false = lexeme(string("false")).result(False)
    null = lexeme(string("null")).result(None)
    number = lexeme(regex(NUMBER)).map(float)
    string_escape = string("\\") >> (
        string("\\")
        | string("/")
        | string('"')
        | string("b").result("\b")
        | string("f").result("\f")
        | string("n").result("\n")
        | string("r").result("\r")
        | string("t").result("\t")
        | regex(UNICODE).map(lambda text: chr(int(text[1:], 16)))
    )
    quoted = lexeme(string('"') >> (regex(PLAIN) | string_escape).many().concat() << string('"'))
    value = forward_declaration()
    pair = seq(quoted << colon, value).map(tuple)
    record = lbrace >> pair.sep_by(comma).map(dict) << rbrace
    array = lbrack >> value.sep_by(comma) << rbrack
    value.become(quoted | number | record | array | true | false | null)
    return whitespace >> value << eof


# The residual keeps what a parse must report, the furthest failure and what was expected there, in two local
# variables instead of a Result for every step: merging is associative, so the final Result is the same.

_space = re.compile(SPACE).match
_number = re.compile(NUMBER).match
_plain = re.compile(PLAIN).match
_unicode = re.compile(UNICODE).match
_ESCAPES = {"\\": "\\", "/": "/", '"': '"', "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_Parsed = tuple  # (index or -1, value, furthest, expected)


def _merge(index: int, what: frozenset[str], furthest: int, expected: frozenset[str]) -> Any:
    if index > furthest:
        return index, what
    if index == furthest:
        return furthest, expected | what
    return furthest, expected


def _quoted(stream: Any, index: int, furthest: int, expected: Any) -> Any:
    if stream[index : index + 1] != '"':
        furthest, expected = _merge(index, _EXPECT_QUOTE, furthest, expected)
        return -1, None, furthest, expected
    index += 1
    parts = []
    while True:
        match = _plain(stream, index)
        if match:
            parts.append(match.group(0))
            index = match.end()
            continue
        furthest, expected = _merge(index, _EXPECT_PLAIN, furthest, expected)
        if stream[index : index + 1] != "\\":
            furthest, expected = _merge(index, _EXPECT_BACKSLASH, furthest, expected)
            break
        at = index + 1
        char = stream[at : at + 1]
        for escape in _ESCAPE_ORDER:
            if char == escape:
                parts.append(_ESCAPES[escape])
                index = at + 1
                break
            furthest, expected = _merge(at, _EXPECT_ESCAPE[escape], furthest, expected)
        else:
            match = _unicode(stream, at)
            if not match:
                furthest, expected = _merge(at, _EXPECT_UNICODE, furthest, expected)
                break
            parts.append(chr(int(match.group(0)[1:], 16)))
            index = match.end()
    if stream[index : index + 1] != '"':
        furthest, expected = _merge(index, _EXPECT_QUOTE, furthest, expected)
        return -1, None, furthest, expected
    return _space(stream, index + 1).end(), "".join(parts), furthest, expected


_EXPECT_QUOTE = frozenset(['"'])
_EXPECT_PLAIN = frozenset([PLAIN])
_EXPECT_BACKSLASH = frozenset(["\\"])
_EXPECT_UNICODE = frozenset([UNICODE])
_EXPECT_NUMBER = frozenset([NUMBER])
_EXPECT_LBRACE, _EXPECT_RBRACE = frozenset(["{"]), frozenset(["}"])
_EXPECT_LBRACK, _EXPECT_RBRACK = frozenset(["["]), frozenset(["]"])
_EXPECT_COLON, _EXPECT_COMMA = frozenset([":"]), frozenset([","])
_EXPECT_TRUE, _EXPECT_FALSE, _EXPECT_NULL = frozenset(["true"]), frozenset(["false"]), frozenset(["null"])
_EXPECT_EOF = frozenset(["EOF"])
_ESCAPE_ORDER = tuple(_ESCAPES)
_EXPECT_ESCAPE = {escape: frozenset([escape]) for escape in _ESCAPES}


def _pair(stream: Any, index: int, furthest: int, expected: Any) -> Any:
    index, key, furthest, expected = _quoted(stream, index, furthest, expected)
    if index < 0:
        return -1, None, furthest, expected
    if stream[index : index + 1] != ":":
        furthest, expected = _merge(index, _EXPECT_COLON, furthest, expected)
        return -1, None, furthest, expected
    index = _space(stream, index + 1).end()
    index, value, furthest, expected = _value(stream, index, furthest, expected)
    return index, (key, value), furthest, expected


def _value(stream: Any, index: int, furthest: int, expected: Any) -> Any:
    end, value, furthest, expected = _quoted(stream, index, furthest, expected)
    if end >= 0:
        return end, value, furthest, expected
    match = _number(stream, index)
    if match:
        return _space(stream, match.end()).end(), float(match.group(0)), furthest, expected
    furthest, expected = _merge(index, _EXPECT_NUMBER, furthest, expected)
    if stream[index : index + 1] == "{":
        at, pairs = _space(stream, index + 1).end(), []
        end, value, furthest, expected = _pair(stream, at, furthest, expected)
        while end >= 0:
            at = end
            pairs.append(value)
            if stream[at : at + 1] != ",":
                furthest, expected = _merge(at, _EXPECT_COMMA, furthest, expected)
                break
            end, value, furthest, expected = _pair(stream, _space(stream, at + 1).end(), furthest, expected)
        if stream[at : at + 1] == "}":
            return _space(stream, at + 1).end(), dict(pairs), furthest, expected
        furthest, expected = _merge(at, _EXPECT_RBRACE, furthest, expected)
    else:
        furthest, expected = _merge(index, _EXPECT_LBRACE, furthest, expected)
    if stream[index : index + 1] == "[":
        at, values = _space(stream, index + 1).end(), []
        end, value, furthest, expected = _value(stream, at, furthest, expected)
        while end >= 0:
            at = end
            values.append(value)
            if stream[at : at + 1] != ",":
                furthest, expected = _merge(at, _EXPECT_COMMA, furthest, expected)
                break
            end, value, furthest, expected = _value(stream, _space(stream, at + 1).end(), furthest, expected)
        if stream[at : at + 1] == "]":
            return _space(stream, at + 1).end(), values, furthest, expected
        furthest, expected = _merge(at, _EXPECT_RBRACK, furthest, expected)
    else:
        furthest, expected = _merge(index, _EXPECT_LBRACK, furthest, expected)
    if stream[index : index + 4] == "true":
        return _space(stream, index + 4).end(), True, furthest, expected
    furthest, expected = _merge(index, _EXPECT_TRUE, furthest, expected)
    if stream[index : index + 5] == "false":
        return _space(stream, index + 5).end(), False, furthest, expected
    furthest, expected = _merge(index, _EXPECT_FALSE, furthest, expected)
    if stream[index : index + 4] == "null":
        return _space(stream, index + 4).end(), None, furthest, expected
    furthest, expected = _merge(index, _EXPECT_NULL, furthest, expected)
    return -1, None, furthest, expected


def residual(stream: Any, index: int) -> Any:
    index, value, furthest, expected = _value(stream, _space(stream, index).end(), -1, frozenset())
    if index >= 0:
        if index >= len(stream):
            return Result(True, index, value, furthest, expected)
        furthest, expected = _merge(index, _EXPECT_EOF, furthest, expected)
    return Result(False, -1, None, furthest, expected)


def build() -> Case:
    grammar = make_grammar()

    def drive(call: Any) -> Any:
        return call(DOCUMENT, 0)

    return Case(grammar, drive, 1, residual)


WORKLOAD = Workload("parsy", PACKAGE, "document", build, distributions=("parsy",))
