"""The console script, and ``python -m colorcli``."""

import gc


def main() -> None:
    """Run the command line of this process, and exit."""
    gc.set_threshold(200_000)  # importing makes many objects and no garbage
    from colorcli.cli import main as run

    run()


if __name__ == "__main__":
    main()
