"""Writes the OpenAPI document that is checked in: ``python -m churnml.service``."""

from __future__ import annotations

from pathlib import Path

from churnml.config import Service
from churnml.service.app import openapi_document
from churnml.service.openapi import text_of

if __name__ == "__main__":
    Path(__file__).with_name("openapi.json").write_text(text_of(openapi_document(Service())), encoding="utf-8")
