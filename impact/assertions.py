"""What is to hold of an estate, one assertion a line: the language of `cmdb check`.

    # what the pipeline insists on
    service 'Web Shop' has no single point of failure of class Host except 'web-db'
    service 'Web Shop' survives any 1 failure
    service 'Web Shop' is available at least 99.95 %
    every BusinessService has no single point of failure of class Server
    failure of 'web-1' and 'web-2' does not take down 'Web Shop'
    failure of 'pdu-a' takes down at most 10 items
    'Web Shop' does not depend on anything of class Laptop

Promises: text is read in time proportional to its length; what cannot be read is told for all lines at once, with line,
column and a way out; `to_text` writes any claim so that it is read as the same claim again. Names are those of items
(or ids, or Class/name) and stand in quotes; a quote inside is doubled. Nothing is looked up here: `impact.checks` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from impact.errors import AssertionFault, InvalidAssertions

MOST_FAILURES = 3
"""How many failures can be asked to be survived: what the redundancy margin is exact up to."""
MOST_FAULTS = 20
"""Faults that are looked for in one text."""
_LARGEST_NUMBER = 10**9
_MOST_DIGITS = 20

_TOKEN = re.compile(
    r"""(?P<word>[A-Za-z][A-Za-z0-9_]*)
      | (?P<number>[0-9]+(?:\.[0-9]+)?)
      | '(?P<single>[^']*(?:''[^']*)*)'
      | "(?P<double>[^"]*(?:""[^"]*)*)"
      | (?P<comma>,)
      | (?P<percent>%)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Named:
    """The item of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Every:
    """Every item of this class and its subclasses; every service where it is None."""

    class_name: str | None


@dataclass(frozen=True, slots=True)
class NoSinglePoint:
    """No other item takes one of `subject` down by failing alone, but for `exceptions`.

    `classes`: only items of these count; all if there is none.
    """

    subject: Named | Every
    classes: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survives:
    """Whichever `failures` other items fail, what is in `subject` stays up."""

    subject: Named | Every
    failures: int


@dataclass(frozen=True, slots=True)
class AvailableAtLeast:
    """The predicted availability of each of `subject` is `percent` or more; above 0, at most 100."""

    subject: Named | Every
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Spares:
    """When all of `failing` fail together, none of `spared` goes down."""

    failing: tuple[str, ...]
    spared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakesDownAtMost:
    """When all of `failing` fail together, at most `most` others go down; `counted`: which count, None for all."""

    failing: tuple[str, ...]
    most: int
    counted: Every | None = None


@dataclass(frozen=True, slots=True)
class DoesNotDependOn:
    """`dependent` does not use or need `dependency` (or anything of a class), however indirectly."""

    dependent: str
    dependency: Named | Every


Claim: TypeAlias = NoSinglePoint | Survives | AvailableAtLeast | Spares | TakesDownAtMost | DoesNotDependOn


@dataclass(frozen=True, slots=True)
class Assertion:
    """A claim, and where it stands."""

    line: int
    text: str
    claim: Claim


def parse(text: str) -> tuple[Assertion, ...]:
    """The assertions of a text, in their order. Raises `InvalidAssertions` with the faults of all lines."""
    found: list[Assertion] = []
    faults: list[AssertionFault] = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            tokens = list(_tokens(line, number))
            if len(tokens) > 1:
                found.append(Assertion(number, line.strip(), _Line(tokens, number).claim()))
        except _Faulty as faulty:
            faults.append(faulty.fault)
            if len(faults) == MOST_FAULTS:
                break
    if faults:
        raise InvalidAssertions(faults)
    return tuple(found)


def to_text(claim: Claim) -> str:
    """A claim as a line that `parse` reads as this claim. Names with a line break cannot be written: use the id."""
    match claim:
        case NoSinglePoint(subject, classes, exceptions):
            only = f" of class {', '.join(classes)}" if classes else ""
            but = f" except {_listed(exceptions)}" if exceptions else ""
            return f"{_subject(subject)} has no single point of failure{only}{but}"
        case Survives(subject, failures):
            return f"{_subject(subject)} survives any {failures} failure{'s' if failures > 1 else ''}"
        case AvailableAtLeast(subject, percent):
            return f"{_subject(subject)} is available at least {percent:f} %"
        case Spares(failing, spared):
            return f"failure of {_listed(failing)} does not take down {_listed(spared)}"
        case TakesDownAtMost(failing, most, counted):
            if counted is None:
                what = "items"
            elif counted.class_name is None:
                what = "services"
            else:
                what = f"items of class {counted.class_name}"
            return f"failure of {_listed(failing)} takes down at most {most} {what}"
        case DoesNotDependOn(dependent, dependency):
            if isinstance(dependency, Named):
                return f"{_quoted(dependent)} does not depend on {_quoted(dependency.name)}"
            what = f"anything of class {dependency.class_name}" if dependency.class_name else "any service"
            return f"{_quoted(dependent)} does not depend on {what}"


def _subject(subject: Named | Every) -> str:
    if isinstance(subject, Named):
        return f"service {_quoted(subject.name)}"
    return f"every {subject.class_name or 'service'}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    doubled = name.replace("'", "''")
    return f"'{doubled}'"


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind`: word, number, name, comma, percent or end. `text`: a name without its quotes."""

    kind: str
    text: str
    column: int

    @property
    def shown(self) -> str:
        """For people."""
        if self.kind == "end":
            return "the end of the line"
        text = self.text if len(self.text) <= 40 else self.text[:40] + "…"
        return _quoted(text) if self.kind == "name" else text


class _Faulty(Exception):
    """A line that cannot be read."""

    def __init__(self, line: int, column: int, fault: str, way_out: str) -> None:
        super().__init__(fault)
        self.fault = AssertionFault(line, column, fault, way_out)


def _tokens(line: str, number: int) -> Iterator[_Token]:
    place, end = 0, len(line)
    while place < end:
        if line[place].isspace():
            place += 1
            continue
        if line[place] == "#":
            break
        match = _TOKEN.match(line, place)
        if match is None:
            raise _unreadable(line, place, number)
        kind = match.lastgroup or ""
        text = match[kind]
        if kind in ("single", "double"):
            quote = match[0][0]
            kind, text = "name", text.replace(quote * 2, quote)
            if not text:
                raise _Faulty(number, place + 1, "a name is empty", "write it between the quotes")
        yield _Token(kind, text, place + 1)
        place = match.end()
    yield _Token("end", "", place + 1)


def _unreadable(line: str, place: int, number: int) -> _Faulty:
    character = line[place]
    if character in "'\"":
        way_out = f"close it with {character}; a {character} inside a name is written twice"
        return _Faulty(number, place + 1, "a quote is opened and not closed", way_out)
    return _Faulty(
        number,
        place + 1,
        f"{character!r} means nothing here",
        "names stand in quotes, numbers in digits, comments begin with #",
    )


class _Line:
    """A line while it is read, from left to right without going back."""

    def __init__(self, tokens: list[_Token], number: int) -> None:
        self._tokens, self._number, self._place = tokens, number, 0

    def claim(self) -> Claim:
        claim = self._claim()
        if self._next.kind != "end":
            raise self._fault("the assertion was complete before", "write each on a line of its own")
        return claim

    def _claim(self) -> Claim:
        first = self._next
        opening = first.text.lower() if first.kind == "word" else ""  # a sentence may begin with a capital
        if opening in ("service", "every"):
            self._place += 1
            return self._about(self._every() if opening == "every" else Named(self._name()))
        if opening == "failure":
            self._place += 1
            self._words("of")
            return self._failure(self._names())
        if first.kind == "name":
            dependent = self._name()
            self._words("does not depend on")
            return DoesNotDependOn(dependent, self._dependency())
        raise self._fault(
            "an assertion begins with service, every, failure of, or a name in quotes",
            "for instance: service 'Web Shop' survives any 1 failure",
        )

    def _every(self) -> Every:
        if self._taken("service"):
            return Every(self._class() if self._taken("of") else None)
        return Every(self._class_name())

    def _about(self, subject: Named | Every) -> Claim:
        if self._taken("has"):
            self._words("no single point of failure")
            classes: tuple[str, ...] = ()
            if self._taken("of"):
                self._words("class")
                classes = self._classes()
            return NoSinglePoint(subject, classes, self._names() if self._taken("except") else ())
        if self._taken("survives"):
            self._words("any")
            at = self._next
            failures = self._whole_number()
            if not 1 <= failures <= MOST_FAILURES:
                raise self._fault(
                    f"any {failures} failures cannot be asked about", f"write 1 to {MOST_FAILURES}", at
                )
            self._one_of("failure", "failures")
            return Survives(subject, failures)
        if self._taken("is"):
            self._words("available at least")
            return AvailableAtLeast(subject, self._percent())
        raise self._fault(
            "expected has, survives or is",
            "write: has no single point of failure, or: survives any 1 failure, or: is available at least 99.9 %",
        )

    def _failure(self, failing: tuple[str, ...]) -> Claim:
        if self._taken("does"):
            self._words("not take down")
            return Spares(failing, self._names())
        if not self._taken("takes"):
            raise self._fault(
                "expected takes or does", "write: does not take down 'X', or: takes down at most 10 items"
            )
        self._words("down")
        if self._taken("nothing"):
            return TakesDownAtMost(failing, 0)
        if self._taken("no"):
            return TakesDownAtMost(failing, 0, self._counted())
        if self._taken("at"):
            self._words("most")
            return TakesDownAtMost(failing, self._whole_number(), self._counted())
        raise self._fault(
            "expected nothing, no or at most", "write: takes down no service, or: takes down at most 10 items"
        )

    def _counted(self) -> Every | None:
        what = self._one_of("item", "items", "service", "services")
        if self._taken("of"):
            return Every(self._class())
        return Every(None) if what.startswith("service") else None

    def _dependency(self) -> Named | Every:
        if self._taken("anything"):
            self._words("of")
            return Every(self._class())
        if self._taken("any"):
            return Every(None) if self._taken("service") else Every(self._class_name())
        return Named(self._name())

    def _names(self) -> tuple[str, ...]:
        names = [self._name()]
        while self._separated("and"):
            names.append(self._name())
        return tuple(names)

    def _classes(self) -> tuple[str, ...]:
        names = [self._class_name()]
        while self._separated("and", "or"):
            names.append(self._class_name())
        return tuple(names)

    def _separated(self, *words: str) -> bool:
        """Take a comma, a word, or both, if the list goes on."""
        comma = self._next.kind == "comma"
        self._place += comma
        return any(self._taken(word) for word in words) or comma

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _taken(self, word: str) -> bool:
        """Go beyond a word if it is the next one."""
        found = self._next.kind == "word" and self._next.text == word
        self._place += found
        return found

    def _words(self, words: str) -> None:
        for word in words.split():
            if not self._taken(word):
                raise self._fault(f"expected {word}", f"the words are: {words}")

    def _one_of(self, *words: str) -> str:
        for word in words:
            if self._taken(word):
                return word
        raise self._fault(f"expected {' or '.join(words)}", "write one of these")

    def _name(self) -> str:
        token = self._next
        if token.kind != "name":
            raise self._fault("expected a name", "names stand in quotes: 'Web Shop'")
        self._place += 1
        return token.text

    def _class(self) -> str:
        self._words("class")
        return self._class_name()

    def _class_name(self) -> str:
        token = self._next
        if token.kind != "word" or not token.text[0].isupper():
            raise self._fault(
                "expected a class", "classes stand without quotes and begin with a capital: Server"
            )
        self._place += 1
        return token.text

    def _percent(self) -> Decimal:
        token = self._next
        if token.kind == "number" and len(token.text) > _MOST_DIGITS:
            raise self._fault("the number is too long", f"write {_MOST_DIGITS} characters at most")
        if token.kind != "number" or not 0 < Decimal(token.text) <= 100:
            raise self._fault("expected a percentage", "write more than 0, and 100 at most: 99.95 %")
        self._place += 1
        if self._next.kind != "percent":
            raise self._fault("expected %", "write the sign behind the number: 99.95 %")
        self._place += 1
        return Decimal(token.text)

    def _whole_number(self) -> int:
        token = self._next
        if token.kind != "number" or "." in token.text:
            raise self._fault("expected a whole number", "write it in digits: 1")
        if len(token.text) > 10 or int(token.text) > _LARGEST_NUMBER:
            raise self._fault("the number is too large", f"write {_LARGEST_NUMBER} at most")
        self._place += 1
        return int(token.text)

    def _fault(self, fault: str, way_out: str, at: _Token | None = None) -> _Faulty:
        token = at or self._next
        seen = "" if at else f", not {token.shown}" if fault.startswith("expected") else f": {token.shown}"
        return _Faulty(self._number, token.column, fault + seen, way_out)
