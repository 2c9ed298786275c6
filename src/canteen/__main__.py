"""`python -m canteen` is `canteen`."""

from canteen.cli.main import main

if __name__ == "__main__":
    main()
