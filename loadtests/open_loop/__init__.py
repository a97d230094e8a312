"""An open-loop generator: requests are sent when they are due, however long the responses take."""
