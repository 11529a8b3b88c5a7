"""`python -m patchscaler_cli` is `patchscaler`."""

from patchscaler_cli.cli.main import main

if __name__ == "__main__":
    main()
