"""Reads a page of ours strictly: every tag is known and closed, nothing loads or runs."""

from __future__ import annotations

from html.parser import HTMLParser

TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "nav", "a", "section", "p", "dl"),
    *(
        "div",
        "dt",
        "dd",
        "small",
        "figure",
        "figcaption",
        "strong",
        "ul",
        "li",
        "details",
        "summary",
        "table",
    ),
    *("caption", "thead", "tbody", "tr", "th", "td", "svg", "desc", "path", "rect", "line", "text"),
}
LOADS = {"src", "srcset", "href", "xlink:href", "data", "style", "poster", "action", "background"}


class PageReader(HTMLParser):
    """tables: rows of cells' texts. pictures: how many SVGs are named for who cannot see them.

    >>> page = PageReader("<p>1 &lt; 2</p>")
    >>> page.texts
    ['1 < 2']
    >>> PageReader("<p><script>alert(1)</script></p>")
    Traceback (most recent call last):
    AssertionError: script
    """

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.pictures = 0
        self.feed(page)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        names = dict(attrs)
        assert not any(name.startswith("on") for name in names), names
        loads = LOADS & set(names)
        assert not loads or (tag == "a" and (names["href"] or "").startswith("#")), (tag, names)
        if tag == "svg" and "aria-hidden" not in names:
            assert names["role"] == "img" and names["aria-label"]
            self.pictures += 1
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            assert "url(" not in data and "@import" not in data
        elif data.strip():
            self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
