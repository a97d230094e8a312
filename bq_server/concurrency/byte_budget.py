"""One budget of bytes for everything held for clients: incoming bodies and outgoing answers."""


class ByteBudget:
    """How many bytes may be held, and how many are. A single request may exceed the limit; two together may not."""

    def __init__(self, limit: int) -> None:
        """`limit`: bytes."""
        self.limit = limit
        self.used = 0

    @property
    def spent(self) -> bool:
        """Whether nothing more should be begun."""
        return self.used >= self.limit


class Lease:
    """What one request, or one connection, holds of the budget. It is given back as a whole."""

    __slots__ = ("_budget", "held")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, count: int) -> bool:
        """Hold that many more bytes, unless others leave no room for them; returns whether it does."""
        others = self._budget.used - self.held
        if count > 0 and others and self._budget.used + count > self._budget.limit:
            return False
        self.add(count)
        return True

    def add(self, count: int) -> None:
        """Hold that many more bytes, which exist already; a negative number gives some back."""
        self.held += count
        self._budget.used += count

    def give_back(self) -> None:
        """Hold nothing."""
        self._budget.used -= self.held
        self.held = 0
