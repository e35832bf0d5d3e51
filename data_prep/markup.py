"""HTML in a field → the text that a reader of the page would see."""

import html
import re

__all__ = ["plain_text"]

# Elements that do not end a word: "<b>R</b>ose" is one word, "<p>A</p><p>B</p>" are two.
INLINE = frozenset(
    ["a", "abbr", "b", "big", "bdi", "bdo", "cite", "code", "dfn", "em", "font", "i", "ins", "del",
     "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
     "time", "tt", "u", "var", "wbr"]
)  # fmt: skip
BLOCKS = frozenset(
    ["address", "article", "aside", "blockquote", "body", "br", "button", "caption", "center",
     "col", "colgroup", "dd", "details", "div", "dl", "dt", "embed", "fieldset", "figcaption",
     "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html",
     "iframe", "img", "input", "legend", "li", "link", "main", "meta", "nav", "noscript", "object",
     "ol", "option", "p", "param", "picture", "pre", "script", "section", "select", "source",
     "style", "summary", "svg", "table", "tbody", "td", "textarea", "tfoot", "th", "thead", "title",
     "tr", "ul", "video", "audio"]
)  # fmt: skip
# Attributes hold no "<", so that a search for tags ends at the next one: it takes linear time.
_TAG = re.compile(
    r"""<(?:!doctype|/?([a-z][a-z0-9]*))(?:\s+(?:"[^"<]*"|'[^'<]*'|[^'"<>])*)?/?>""", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_UNSEEN = (
    (re.compile("<!--"), re.compile("-->"), ""),
    (re.compile(r"<script\b", re.IGNORECASE), re.compile(r"</script\s*>", re.IGNORECASE), " "),
    (re.compile(r"<style\b", re.IGNORECASE), re.compile(r"</style\s*>", re.IGNORECASE), " "),
)


def plain_text(text: str) -> str:
    """Return a text without HTML tags, comments, scripts and entities.

    Only elements of HTML are tags, and only entities with their semicolon are entities, so that
    "1 < 2 > 0" and "R&D" stay. HTML that was written as entities (`&lt;p&gt;`) is read too.

    Not `html.parser`, whose reading of broken HTML differs between versions of Python: an item
    would get other codes.
    """
    for _ in range(2):
        if "<" in text:
            for begin, end, instead in _UNSEEN:
                text = _without(text, begin, end, instead)
            text = _TAG.sub(_seen, text)
        if "&" not in text:
            break
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return text


def _seen(tag: re.Match[str]) -> str:
    """Return what stands for a tag: nothing, a blank between words, or what is no tag of HTML."""
    name = (tag[1] or "p").lower()
    if name in INLINE:
        return ""
    return " " if name in BLOCKS else tag[0]


def _without(text: str, begin: re.Pattern[str], end: re.Pattern[str], instead: str) -> str:
    """Return a text without the parts from a `begin` to the next `end`; an unclosed one stays."""
    parts, at = [], 0
    while found := begin.search(text, at):
        closed = end.search(text, found.end())
        if closed is None:
            break
        parts += [text[at : found.start()], instead]
        at = closed.end()
    return "".join([*parts, text[at:]])
