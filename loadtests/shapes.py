"""The shape of a run's load; in its own module, because what starts Locust must not import it."""

STEADY, RAMP, SOAK = "steady", "ramp", "soak"
SHAPES = (STEADY, RAMP, SOAK)
"""All users from the start; more and more users until the promise breaks; all users for a long time."""

RATE_PER_USER = 4.0
"""Default requests a second of one user."""

RAMP_USERS, RAMP_SECONDS = 25, 10
"""What a step of a ramp adds, and how long it lasts."""
