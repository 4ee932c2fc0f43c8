"""``python -m halfkick.driver`` is the command ``halfkick``."""

from .cli import main

if __name__ == "__main__":
    main()
