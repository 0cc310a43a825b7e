"""The section of a constructor's docstring that says how a network differs from its authors' released code.

Differs from the release:
    - Batch-norm scales start at 1. The released code draws them from U(0, 1).
"""

import re
from itertools import takewhile
from textwrap import dedent

from archzoo.errors import RegistrationError

HEADING = "Differs from the release:"
LIKE_HEADING = re.compile(r"[\s*#]*Differ(s|ences?|ent) (from|to|with) .*:.*")
SENTENCES = re.compile(r"([A-Z`]|\w*[0-9_])\S* \S.*\.")  # or the name of a layer: conv10 is ...


def differences_in(docstring: str) -> tuple[str, ...]:
    """The differences in a docstring without indentation, as ``inspect.getdoc`` returns it: one for each bullet.

    Raises RegistrationError for a heading that is only like this one, and for a section without bullets, with text
    outside them, or with a bullet that is no full sentence.
    """
    lines = docstring.splitlines()
    headings = [number for number, line in enumerate(lines) if LIKE_HEADING.fullmatch(line)]
    if not headings:
        return ()
    if [lines[number] for number in headings] != [HEADING]:
        written = ", ".join(repr(lines[number].strip()) for number in headings)
        raise RegistrationError(f"the docstring needs one section {HEADING!r}, not indented, instead of {written}")
    section = takewhile(lambda line: not line or line.startswith(" "), lines[headings[0] + 1 :])
    differences = _bullets(dedent("\n".join(section)))
    for difference in differences:
        if not SENTENCES.fullmatch(difference):
            raise RegistrationError(f"{HEADING!r} needs full sentences, not {difference!r}")
    return tuple(difference.replace("``", "`") for difference in differences)


def _bullets(section: str) -> tuple[str, ...]:
    bullets: list[str] = []
    for line in filter(None, section.splitlines()):
        if line.startswith("- "):
            bullets.append(line[2:].strip())
        elif line.startswith("  ") and bullets:
            bullets[-1] += f" {line.strip()}"
        else:
            raise RegistrationError(f"below {HEADING!r}, start each paragraph with '- ', not {line.strip()!r}")
    if not bullets:
        raise RegistrationError(f"nothing is indented below {HEADING!r}: add paragraphs that start with '- '")
    return tuple(bullets)
