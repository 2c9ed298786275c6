"""A clock that tests set."""


class Clock:
    """It stands until somebody moves it; seconds since 1970."""

    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s
