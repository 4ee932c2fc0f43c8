"""``python -m halfkick.driver`` is the command ``halfkick``."""

from halfkick.driver.cli import main

if __name__ == "__main__":
    main()
