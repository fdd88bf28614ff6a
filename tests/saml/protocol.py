"""Messages that are signed as they are, and say what is wrong here and now."""

from mint import at
from scene import attack, each

HOUR = 3600


def claim(title, expected, **changes):
    """An attack that changes what is said, and no more. Callables get the visit and the scene."""

    @attack(title, *([expected] if isinstance(expected, str) else expected))
    def _(visit, scene):
        return visit.mint(**{name: made(value, visit, scene) for name, value in changes.items()})


def made(value, visit, scene):
    return value(visit, scene) if callable(value) else value


RIVAL_ACS = lambda visit, scene: scene.rival.acs
RIVAL_ID = lambda visit, scene: scene.rival.entity_id
OTHER_ISSUER = lambda visit, scene: scene.connections["other"].entity_id

claim(
    "issuer of response and assertion: a stranger",
    "issuer",
    response_issuer="https://evil.example",
    assertion_issuer="https://evil.example",
)
claim("issuer of the assertion: a stranger", "issuer", assertion_issuer="https://evil.example")
claim("issuer of the response: a stranger", "issuer", response_issuer="https://evil.example")
claim("issuer of the assertion: another connection's", "issuer", assertion_issuer=OTHER_ISSUER)
claim("issuer of both: another connection's", "issuer", assertion_issuer=OTHER_ISSUER, response_issuer=OTHER_ISSUER)
claim("issuer of the assertion: missing", "issuer", assertion_issuer=None)
claim("issuer with a slash more", "issuer", assertion_issuer=lambda v, s: v.connection.entity_id + "/")
claim("issuer in capitals", "issuer", assertion_issuer=lambda v, s: v.connection.entity_id.upper())

claim("destination: another organization's", "destination", destination=RIVAL_ACS)
claim("destination: with a query", "destination", destination=lambda v, s: s.acme.acs + "?x")
claim("destination: of another scheme", "destination", destination=lambda v, s: s.acme.acs.replace("http:", "https:"))
claim("destination: missing", "destination", destination=None)
claim("destination: empty", "destination", destination=" ")
claim("recipient: another organization's", "recipient", recipient=RIVAL_ACS)
claim("recipient: our host only", "recipient", recipient=lambda v, s: s.acme.http.url)
claim("recipient: missing", "recipient", recipient=None)

claim("audience: another organization's", "audience", audiences=lambda v, s: [[s.rival.entity_id]])
claim("audience: ours and more behind it", "audience", audiences=lambda v, s: [[s.acme.entity_id + "/x"]])
claim("audience: no restriction", "no_audience", audiences=[])
claim("audience: an empty restriction", "audience", audiences=[[]])
claim(
    "audience: two restrictions, one of them not ours",
    "audience",
    audiences=lambda v, s: [[s.acme.entity_id], [s.rival.entity_id]],
)
claim("audience: no conditions at all", "no_conditions", conditions=False)
claim(
    "a condition that nobody knows",
    "unknown_condition",
    extra_conditions='<saml:Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"/>',
)

claim("confirmation: holder of key", "no_confirmation", method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")
claim("confirmation: sender vouches", "no_confirmation", method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")
claim("confirmation: missing", "no_confirmation", confirmation=False)
claim("no authentication statement", "no_authentication", authn_statement=False)

for status in ("Requester", "Responder", "AuthnFailed", "NoPassive", "success"):
    claim(f"status {status}", "status", status=f"urn:oasis:names:tc:SAML:2.0:status:{status}")
claim("no status", "status", status=None)
claim("version of both 1.1", "version", version="1.1")
claim("version of the assertion 1.1", "version", assertion_version="1.1")
claim("version of the assertion missing", "version", assertion_version=None)
claim("version of the response 1.1", "version", version="1.1", assertion_version="2.0")

# A minute of tolerance; what runs slowly here must not make an attack of a valid message, so the edge is a few seconds wide.
claim("conditions ended 61 s ago", "expired", not_on_or_after=lambda v, s: at(-61))
claim("conditions ended a year ago", "expired", not_on_or_after=lambda v, s: at(-365 * 24 * HOUR))
claim("conditions begin in 90 s", "not_yet_valid", not_before=lambda v, s: at(90))
claim("conditions without an end", "no_conditions", not_on_or_after=None)
claim("confirmation ended 61 s ago", "expired", confirmation_ends=lambda v, s: at(-61))
claim("confirmation without an end", "no_confirmation", confirmation_ends=None)
claim("confirmation that begins later", "not_yet_valid", confirmation_not_before=lambda v, s: at(90))
# Each end would do by itself, with the minute of tolerance.
claim(
    "conditions that end before they begin",
    "bad_time",
    not_before=lambda v, s: at(50),
    not_on_or_after=lambda v, s: at(-30),
)
claim(
    "a confirmation that ends before it begins",
    "bad_time",
    confirmation_not_before=lambda v, s: at(50),
    confirmation_ends=lambda v, s: at(-30),
)
claim("the session there is over", "session_ended", session_ends=lambda v, s: at(-61))
claim("signed in there tomorrow", "not_yet_valid", authn_instant=lambda v, s: at(24 * HOUR))
claim("the assertion issued tomorrow", "not_yet_valid", assertion_instant=lambda v, s: at(24 * HOUR))
claim(
    "the response issued tomorrow",
    "not_yet_valid",
    issue_instant=lambda v, s: at(24 * HOUR),
    assertion_instant=lambda v, s: at(0),
)

BAD_TIMES = {
    "the year 0": "0000-01-01T00:00:00Z",
    "the year 1": "0001-01-01T00:00:00Z",
    "the last second": "9999-12-31T23:59:59Z",
    "before the year 0": "-0001-01-01T00:00:00Z",
    "a year of six digits": "262143-12-31T23:59:59Z",
    "a year with a sign": "+2026-12-31T23:59:59Z",
    "the end of i64": "292277026596-12-04T15:30:07Z",
    "no zone": "2098-01-01T00:00:00",
    "a zone": "2098-01-01T00:00:00+14:00",
    "hour 24": "2098-01-01T24:00:00Z",
    "a leap second": "2098-06-30T23:59:60Z",
    "30 February": "2098-02-30T00:00:00Z",
    "a fraction of 300 digits": f"2098-01-01T00:00:00.{'9' * 300}Z",
    "a space": "2098-01-01 00:00:00Z",
    "white space around": " 2098-01-01T00:00:00Z\n",
    "small letters": "2098-01-01t00:00:00z",
    "Arabic digits": "٢٠٩٨-٠١-٠١T٠٠:٠٠:٠٠Z",
    "a number": "4039372800",
    "empty": "  ",
    "words": "tomorrow",
}


@each("bad_time", "an end of conditions that is", BAD_TIMES)
def _(visit, scene, time):
    return visit.mint(not_on_or_after=time)


@each(
    "bad_time",
    "an end of the confirmation that is",
    {k: BAD_TIMES[k] for k in ("the last second", "a year of six digits", "words")},
)
def _(visit, scene, time):
    return visit.mint(confirmation_ends=time)


@each(
    "bad_time",
    "an end of the session that is",
    {k: BAD_TIMES[k] for k in ("the last second", "the end of i64", "a leap second", "words")},
)
def _(visit, scene, time):
    return visit.mint(session_ends=time)


@each(
    "bad_time",
    "a beginning of conditions that is",
    {k: BAD_TIMES[k] for k in ("the year 0", "before the year 0", "no zone", "words")},
)
def _(visit, scene, time):
    return visit.mint(not_before=time)
