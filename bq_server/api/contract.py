"""The parts of the OpenAPI document that belong to no route: servers and tags."""

SERVERS = (
    {"url": "/", "description": "The server that this document comes from."},
    {
        "url": "{origin}",
        "description": "Any server.",
        "variables": {"origin": {"default": "http://127.0.0.1:8080", "description": "Scheme, host and port."}},
    },
)

TAGS = {
    "Ingest": "Send events, and follow what became of them.",
    "Facts": "What events became.",
    "Feed": "What happens, told as it is committed.",
    "Catalogue": "Every event name that was seen, and its properties.",
    "Gamify": "Send events by the route of the gamification API, and list a participant's.",
    "Participants": "Profiles, and what their facts came to.",
    "Challenges": "The challenges of the game, and who takes part.",
    "Leaderboards": "Who leads.",
    "Awards": "Points and badges that are given by hand.",
    "Game": "The rules in force.",
    "Sandbox": "Test environments: wait, move the clock, empty, export, import.",
    "Dead letters": "What was accepted and could not be processed.",
    "Keys": "The API keys of the environment.",
    "Audit log": "Who did what that is no event.",
    "Personal data": "A person's rights: everything that is kept of one, told or erased.",
    "Webhooks": "Endpoints that are told what happened, and what they were sent.",
    "Console": "Sign in to the page at `/console`.",
    "Health": "Whether the server lives and is ready, and its numbers for Prometheus.",
}
"""Every tag and its description, in reading order."""
