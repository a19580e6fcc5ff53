"""What a command printed, to be compared wherever its lines were broken."""


def on_one_line(printed: str) -> str:
    """The words of a text, a space between them: the length of paths decides where a console breaks lines."""
    return " ".join(printed.split())
