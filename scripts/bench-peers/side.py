"""One of the programs that a row compares: how it is called, and how its answer is read."""

from collections.abc import Callable
from dataclasses import dataclass, field

from files import Files
from process import Finished


@dataclass(frozen=True)
class Reading:
    """What one run measured: the seconds of the whole work, and what else is worth keeping."""

    seconds: float
    version: str | None = None
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """A program; `command` takes the number of passes, of which the last one counts.

    `version` is that of a program which does not print its own.
    """

    name: str
    command: Callable[[Files, int], list[str]]
    read: Callable[[Finished], Reading]
    version: Callable[[Files], str] | None = None
