"""One budget of bytes for everything that is held for clients: bodies that arrive and answers that leave."""


class ByteBudget:
    """How many bytes may be held, and how many are. One request alone may pass the limit; two together may not."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes."""
        self.limit = limit
        self.used = 0

    @property
    def spent(self) -> bool:
        """Whether nothing more should be begun."""
        return self.used >= self.limit


class Lease:
    """What one request, or one connection, holds of the budget. Given back whole."""

    __slots__ = ("_budget", "held")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, count: int) -> bool:
        """Hold so many bytes more, unless others leave no room for them; whether it does."""
        others = self._budget.used - self.held
        if count > 0 and others and self._budget.used + count > self._budget.limit:
            return False
        self.add(count)
        return True

    def add(self, count: int) -> None:
        """Hold so many bytes more, which are there already; a negative number gives some back."""
        self.held += count
        self._budget.used += count

    def give_back(self) -> None:
        """Hold nothing."""
        self._budget.used -= self.held
        self.held = 0
