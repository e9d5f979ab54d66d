"""``python -m kato_fast`` is ``kato-fast``."""

from kato_fast.cli import main

if __name__ == "__main__":
    main()
