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
    "Feed": "What happens, as it is committed.",
    "Catalogue": "Every event name seen, and its properties.",
    "Gamify": "Send events through the gamification API's route, and list a participant's.",
    "Participants": "Profiles, and what their facts came to.",
    "Challenges": "The challenges of the game, and who takes part.",
    "Leaderboards": "Who leads.",
    "Contests": "Who scores most between two moments, and wins a prize.",
    "Referrals": "Codes by which participants bring others, and who came by them.",
    "Awards": "Points and badges that are given by hand.",
    "Rewards": "What points can be spent on, and who claimed it.",
    "Game": "The rules in force.",
    "Sandbox": "Test environments: wait, move the clock, empty, export, import.",
    "Dead letters": "Accepted messages that can't be processed.",
    "Keys": "The API keys of the environment.",
    "Audit log": "Administrative actions: who did what, and when.",
    "Personal data": "A person's rights: export or erase everything that is kept about one.",
    "Webhooks": "Endpoints that are notified of what happens, and what they were sent.",
    "Console": "Sign in to the page at `/console`.",
    "Health": "Whether the server is alive and ready, and its metrics for Prometheus.",
}
"""Every tag and its description, in reading order."""
