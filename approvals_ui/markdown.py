"""Markdown written by a task, as HTML that cannot act: no raw HTML, no images, no headings, links shown in full."""

from __future__ import annotations

from typing import Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from agentflow.approvals.text import visible

TAGS: Final = frozenset(
    {"p", "br", "strong", "em", "code", "pre", "ul", "ol", "li", "blockquote", "a", "hr", "s"}
    | {"table", "thead", "tbody", "tr", "th", "td"}
)
LONGEST: Final = 100_000

# Headings and images would let a task dress up as the page around it, or fetch something.
_MARKDOWN: Final = (
    MarkdownIt("commonmark", {"html": False})
    .enable(["table", "strikethrough"])
    .disable(["heading", "lheading", "image", "html_block", "html_inline"])
)


def render(text: str) -> Markup:
    """The text as safe HTML; hidden characters are spelled out."""
    shown = "".join(piece.text for piece in visible(text[:LONGEST]))
    tokens = _MARKDOWN.parse(shown)
    for token in tokens:
        if token.children:
            token.children = _with_addresses(token.children)
    html = nh3.clean(
        _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}),
        tags=set(TAGS),
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(html)  # noqa: S704  cleaned by the allow-list above


def _with_addresses(children: list[Token]) -> list[Token]:
    """The same tokens with each link's address printed behind its words, unless the words are the address."""
    shown: list[Token] = []
    href, words = "", ""
    for token in children:
        shown.append(token)
        if token.type == "link_open":
            href, words = str(token.attrGet("href") or ""), ""
        elif token.type == "link_close":
            if words != href:
                shown.append(Token("text", "", 0, content=f" ({href})"))
        else:
            words += token.content
    return shown
