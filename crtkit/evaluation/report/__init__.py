"""The report of an evaluation: one content, written as HTML, Markdown and Word."""

from crtkit.evaluation.report.content import report_dict
from crtkit.evaluation.report.figures import save_figures
from crtkit.evaluation.report.page import write_html
from crtkit.evaluation.report.text import write_markdown, write_word

__all__ = ["report_dict", "save_figures", "write_html", "write_markdown", "write_word"]
