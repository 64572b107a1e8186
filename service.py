"""Where BentoML finds the service: churnml lies in src/ here and in a bento, whether it is installed or not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from churnml.service.bento import Churnml

__all__ = ["Churnml"]
