"""A second time, or twice at once: what was taken is not taken again."""

from browsers import at_once, unsolicited
from mint import at
from scene import attack
from world import Post


class Done:
    """What was sent already: of these answers, so many may sign someone in, and so many be of people who are new."""

    def __init__(self, answers, sign_ins, new_people=0):
        self.answers, self.sign_ins, self.new_people = answers, sign_ins, new_people


def unasked(visit, **changes):
    return Post(visit, unsolicited(visit, **changes), relay_state=None, cookies={})


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


# Whether the second is looked up before or after the first was taken, nobody can say.
TOO_LATE = "unknown_request", "request_used"


@attack("the same message twice at once", *TOO_LATE)
def _(visit, scene):
    return Done(at_once([Post(visit, visit.mint())] * 2), 1)


@attack("the same message six times at once", *TOO_LATE)
def _(visit, scene):
    return Done(at_once([Post(visit, visit.mint())] * 6), 1)


@attack("four messages at once in answer to the same request", *TOO_LATE)
def _(visit, scene):
    return Done(at_once([Post(visit, visit.mint()) for _ in range(4)]), 1)


@attack("a request that twenty bad answers came to, and a good one twice", "unknown_request")
def _(visit, scene):
    bad = [visit.post(visit.mint(sign=None)) for _ in range(20)]
    good = Post(visit, visit.mint())
    return Done([good.send(), good.send(), *bad], 1)


# Each confirmation is a way to be let in: the assertion is used by either. How long that is remembered, a unit test shows.
@attack("unsolicited with two confirmations, a second time", "replayed", connection="unasked")
def _(visit, scene):
    claims = visit.claims()
    second = f'<saml:SubjectConfirmationData NotOnOrAfter="{at(3600)}" Recipient="{claims.recipient}"/>'
    second = f'<saml:SubjectConfirmation Method="{claims.method}">{second}</saml:SubjectConfirmation>'
    post = unasked(visit, extra_confirmation=second, confirmation_ends=at(60), not_on_or_after=at(3600))
    return Done([post.send(), post.send()], 1)


@attack("unsolicited, twice at once", "replayed", connection="unasked")
def _(visit, scene):
    return Done(at_once([unasked(visit)] * 2), 1)
