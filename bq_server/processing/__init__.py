"""The one way to make a fact: a batch of events in one transaction. Both intake paths end here."""
