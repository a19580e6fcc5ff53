"""The command-line reference, `docs/command-line.md`, made from the commands themselves.

python -m autoseg.commands.reference > docs/command-line.md
"""

from __future__ import annotations

from autoseg.commands.cli import app

HEAD = "<!-- made by python -m autoseg.commands.reference -->"


def reference() -> str:
    """Every command with its options, in Markdown."""
    text = app.generate_docs(output_format="markdown", flatten_commands=True, max_heading_level=3)
    return f"{HEAD}\n\n{text.strip()}\n"


if __name__ == "__main__":
    print(reference(), end="")
