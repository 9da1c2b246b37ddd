"""What the commands show of a story."""

from rich.console import Console

from headrace.kernel.clock import rfc3339
from headrace_admin.grid import Json, print_grid, say
from headrace_admin.stories import Story


def story_json(story: Story) -> Json:
    """A story, its moments oldest first."""
    return {
        "about": story.about,
        "tenant": story.tenant,
        "clientId": story.client_id,
        "kind": story.kind,
        "status": story.status,
        "moments": [
            {"at": rfc3339(one.at), "from": one.place, "what": one.what, "told": dict(one.told)}
            for one in story.moments
        ],
    }


def print_story(out: Console, story: Story) -> None:
    """A story, a moment a line."""
    whose = f"{story.tenant} {story.client_id}" if story.client_id else story.tenant
    say(out, f"{story.about}  {story.kind} of {whose}  {story.status}", style="bold")
    print_grid(
        out,
        ("at (UTC)", "from", "what", ""),
        [
            (
                f"{one.at:%Y-%m-%d %H:%M:%S}.{one.at.microsecond // 1000:03d}",
                one.place,
                one.what,
                "  ".join(f"{name}={value}" for name, value in one.told.items()),
            )
            for one in story.moments
        ],
    )
