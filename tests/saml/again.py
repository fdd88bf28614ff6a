"""A second time, or twice at once: what was taken is not taken again."""

from browsers import both_at_once
from scene import attack
from world import Post


class Done:
    """What was sent already: of these answers, so many may sign someone in."""

    def __init__(self, answers, sign_ins):
        self.answers, self.sign_ins = answers, sign_ins


def unasked(visit, **changes):
    message = visit.mint(in_response_to=None, response_request=None, confirmation_request=None, **changes)
    return Post(visit, message, relay_state=None, cookies={})


@attack("the same message a second time, in the same browser", "unknown_request")
def _(visit, scene):
    post = Post(visit, visit.mint())
    return Done([post.send(), post.send()], 1)


@attack("another message in answer to a request that was answered", "unknown_request")
def _(visit, scene):
    return Done([visit.post(visit.mint()), visit.post(visit.mint())], 1)


@attack("an assertion's id once more, in answer to another request", "replayed")
def _(visit, scene):
    again = visit.connection.visit()
    id_ = "_used" + visit.request_id[:30]
    return Done([visit.post(visit.mint(assertion_id=id_)), again.post(again.mint(assertion_id=id_))], 1)


@attack("unsolicited, a second time", "replayed", connection="unasked")
def _(visit, scene):
    post = unasked(visit)
    return Done([post.send(), post.send()], 1)


@attack("unsolicited, a second time in another response", "replayed", connection="unasked")
def _(visit, scene):
    id_ = "_unasked" + visit.request_id[:30]
    return Done([unasked(visit, assertion_id=id_).send(), unasked(visit, assertion_id=id_).send()], 1)


@attack("the same message twice at once", "unknown_request", "request_used")
def _(visit, scene):
    return Done(both_at_once(Post(visit, visit.mint())), 1)


@attack("unsolicited, twice at once", "replayed", connection="unasked")
def _(visit, scene):
    return Done(both_at_once(unasked(visit)), 1)
