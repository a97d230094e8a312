"""How work shares one event loop: groups, slices, notifications, a budget of bytes."""
