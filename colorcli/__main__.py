"""``python -m colorcli``."""

from colorcli.cli import main

if __name__ == "__main__":
    main()
