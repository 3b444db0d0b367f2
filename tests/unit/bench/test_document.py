"""Results go into their section of a document and nowhere else."""

from bench.document import put


def test_only_the_section_changes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\n<!-- bench:b -->\nkept\n<!-- /bench:b -->\n"
    )
    put(page, "a", "new\n")
    put(page, "a", "newer\n")
    assert page.read_text() == (
        "before\n<!-- bench:a -->\nnewer\n<!-- /bench:a -->\n<!-- bench:b -->\nkept\n<!-- /bench:b -->\n"
    )


def test_a_file_without_the_section_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("old")
    put(page, "a", "new")
    assert page.read_text() == "new"
