"""The README's tables are those of the committed result files."""

from benchmarks.readme import MARK, ROOT, fill


def test_readme_shows_the_committed_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert MARK.search(text)
    assert fill(text) == text


def test_columns_are_chosen(tmp_path):
    table = "| model | a | b |\n| --- | --- | --- |\n| m | 1 | 2 |\n"
    (tmp_path / "t.md").write_text(f"**T.** Real data\n\n{table}")
    filled = fill("<!-- begin: t.md | b -->\nold\n<!-- end -->", tmp_path)
    shown = "| model | b |\n| --- | --- |\n| m | 2 |\n"
    assert filled == f"<!-- begin: t.md | b -->\n**T.** Real data\n\n{shown}<!-- end -->"
