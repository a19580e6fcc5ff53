"""`python -m autoseg`: the command, where its script is not on the path."""

from autoseg.commands.cli import main

if __name__ == "__main__":
    main()
