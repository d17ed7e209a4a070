"""A picture's own page, for a reader who chose to see it.

The reader's browser loads it from the network's host, whose operator then learns the reader's
address and what was looked at: so nothing leads there but this page, and its security policy names
that one host. We fetch nothing ourselves.
"""

from flask import abort, make_response, render_template, request
from werkzeug.wrappers import Response

from tweeter import cards
from tweeter.store import posts
from tweeter.texts import say
from tweeter.views import guard
from tweeter.views.pages import engine, pages


@pages.get("/media/<int:post_id>/<int(min=1, max=99):number>")
def media(post_id: int, number: int) -> Response:
    """The picture of a post's medium, counted from 1; with &framed=1 for a card, without words.

    host: whom the reader agreed to ask. A post may be edited at any moment: where its picture has
    another host by now, or none was named, the page says so and loads nothing.

    404 where a card would offer none: unknown, removed and hidden posts, media without an address.
    """
    post = posts.by_ids(engine(), [post_id]).get(post_id)
    card = cards.card(post) if post else None
    if post is None or card is None or number > len(card.media) or not card.media[number - 1].host:
        abort(404, say("There is no picture here: its post is unknown, was removed or is hidden."))
    medium = card.media[number - 1]
    is_agreed = request.args.get("host") == medium.host
    answer = make_response(
        render_template(
            "media.html",
            card=card,
            medium=medium,
            url=post.media[number - 1].url,
            number=number,
            is_agreed=is_agreed,
            is_framed="framed" in request.args,
        )
    )
    host = medium.host if is_agreed else ""
    answer.headers["Content-Security-Policy"] = guard.policy(is_framed=True, picture_host=host)
    return answer
