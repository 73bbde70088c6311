"""The picture of a console in the README."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from localcluster.picture import recorder, save


def test_a_picture_shows_what_was_printed_and_fetches_nothing(tmp_path: Path) -> None:
    console = recorder()
    console.print("[green]bell[/]  00 ▇▇▇▇ 519")
    save(console, tmp_path / "pictures" / "bell.svg", "make demo")
    drawn = (tmp_path / "pictures" / "bell.svg").read_text()
    words = " ".join("".join(ElementTree.fromstring(drawn).itertext()).split())
    assert "bell" in words
    assert "▇▇▇▇ 519" in words
    assert "make demo" in words
    assert "url(http" not in drawn
