"""The style sheet of a diagram, in light and dark: with variables for a page, with literal colors for a file."""

import re

# In a page, a variable such as --az-ink replaces a color.
COLORS = {
    "back": ("#fff", "#12171e"),
    "ink": ("#1d2733", "#e4e9f0"),
    "soft": ("#5b6878", "#9aa7b8"),
    "line": ("#8a97a8", "#76849a"),
    "box": ("#f4f6f9", "#1d2530"),
    "conv": ("#dcebfb", "#173450"),
    "conv-line": ("#5b93cc", "#5b93cc"),
    "pool": ("#def3e4", "#173a26"),
    "pool-line": ("#5aa574", "#5aa574"),
    "linear": ("#fdead2", "#43300f"),
    "linear-line": ("#cf964a", "#cf964a"),
    "part": ("#e9e4f7", "#2c2548"),
    "part-line": ("#8c78c4", "#8c78c4"),
}
FONT = ".az{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}.az text{text-anchor:middle}\n"
RULES = """
.az text{fill:$ink}.az .t{font-weight:600}.az .s{fill:$soft}
.az text.f,.az text.r{text-anchor:start;fill:$soft}.az text.r{font-weight:600;font-size:13px}
.az rect{stroke:$line;fill:$box}.az rect.f{fill:$ink;fill-opacity:.04;stroke:none}
.az .conv{fill:$conv;stroke:$conv-line}
.az .pool{fill:$pool;stroke:$pool-line}
.az .linear,.az .layer{fill:$linear;stroke:$linear-line}
.az .part{fill:$part;stroke:$part-line}
.az .join,.az .image,.az rect.back{fill:$back}.az rect.back{stroke:none}
.az path{fill:none;stroke:$line;stroke-width:1.3}.az path.a{fill:$line;stroke:none}
.az path.r{stroke-dasharray:3 3}
"""


def _colored(scheme: int | None) -> str:
    """The rules in light (0), in dark (1), or in variables (None) that are light where a page does not set them."""

    def color(match: re.Match[str]) -> str:
        both = COLORS[match[1]]
        return f"var(--az-{match[1]},{both[0]})" if scheme is None else both[scheme]

    return re.sub(r"\$([a-z-]+)", color, RULES).strip()


STYLE = f"\n{FONT}{_colored(None)}\n"
LIGHT = f"{FONT}{_colored(0)}"
# Programs other than browsers know neither variables nor, most of them, this condition.
LIGHT_AND_DARK = f"{LIGHT}\n@media (prefers-color-scheme:dark){{\n{_colored(1)}\n}}"
