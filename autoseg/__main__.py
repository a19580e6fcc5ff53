"""The command `autoseg`, also as `python -m autoseg` where its script is not on the path."""

from autoseg.early_stop import stop_at_once


def main() -> None:
    """Run the command of this process's arguments and exit with its status."""
    stop_at_once()
    # imported after that, since it takes long
    from autoseg.commands.cli import main as run_and_exit

    run_and_exit()


if __name__ == "__main__":
    main()
