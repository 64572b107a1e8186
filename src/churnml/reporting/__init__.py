"""What was found, told to people: one self-contained page, and the same in short for the terminal."""

from churnml.reporting.html import write_report
from churnml.reporting.report import Proposal, Report, TrainedModel
from churnml.reporting.text import summary_text

__all__ = ["Proposal", "Report", "TrainedModel", "summary_text", "write_report"]
