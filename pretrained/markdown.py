"""Foreign text on a card: shown as it is, without becoming a link, a picture, HTML or the end of a code span."""

from __future__ import annotations

import json
import re
import shlex

from .untrusted import printable

MARKUP = re.compile(r"[\\`*\[\]<|]")  # what starts or ends an element within a line; others need the start of one


def escape_markdown(text: str) -> str:
    """Return one line of Markdown that reads as the text."""
    return MARKUP.sub(lambda found: f"\\{found[0]}", printable(text))


def code_span(text: str) -> str:
    """Return the text as a code span, which backticks in it do not end."""
    text = printable(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if len(fence) > 1 else ""
    return f"{fence}{space}{text}{space}{fence}"


def shell_word(text: str) -> str:
    """Return the text as a word of a command that is shown in single backticks."""
    return shlex.quote(printable(text).replace("`", "\N{REPLACEMENT CHARACTER}"))


def python_text(text: str) -> str:
    """Return the text as a literal of Python."""
    return json.dumps(printable(text), ensure_ascii=False)
