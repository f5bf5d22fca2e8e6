"""Where the figures of docs/results.md lie."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).parent.parent / "results" / "papers"
PUBLISHED = RESULTS / "published.json"
