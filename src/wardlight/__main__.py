"""`python -m wardlight` is the same as the `wardlight` command."""

from wardlight.cli import main

if __name__ == "__main__":
    main()
