"""The slugs of quizzes: what their addresses end with."""

from __future__ import annotations

import re
import secrets
import unicodedata

from sqlalchemy import Connection, exists, select

from webapp.quizzes.models import Quiz


def slugify(title: str) -> str:
    """Return a slug for a title: plain letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:60].strip("-") or "quiz"


def free_slug(connection: Connection, title: str) -> str:
    """Return the title's slug, with a random suffix where another quiz has it already."""
    slug = slugify(title)
    is_taken = connection.execute(select(exists(select(Quiz.id).where(Quiz.slug == slug)))).scalar_one()
    return f"{slug}-{secrets.token_hex(4)}" if is_taken else slug
