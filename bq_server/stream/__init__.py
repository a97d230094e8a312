"""The stream between acceptance and processing. The only room that knows Redis; it carries payloads, not events."""
