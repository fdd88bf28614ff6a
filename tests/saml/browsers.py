"""Messages that are good, in the wrong hands: another browser, another request, another organization, a second time."""

import threading
from concurrent.futures import ThreadPoolExecutor

from mint import How, Key
from scene import attack, each
from world import Post


def unsolicited(visit, **changes):
    """What a provider sends of its own accord."""
    return visit.mint(in_response_to=None, **changes)


@each(
    "other_browser",
    "a good message in a browser",
    {
        "without a cookie": lambda visit: {},
        "that waits for another request": lambda visit: visit.connection.visit().cookies,
        "with a cookie of noise": lambda visit: {name: "A" * len(value) for name, value in visit.cookies.items()},
        "with an empty cookie": lambda visit: dict.fromkeys(visit.cookies, ""),
    },
)
def _(visit, scene, cookies):
    return Post(visit, visit.mint(), cookies=cookies(visit))


@each(
    "wrong_relay_state",
    "a good message with RelayState",
    {
        "missing": lambda visit: None,
        "of another request": lambda visit: visit.connection.visit().relay_state,
        "that is an address": lambda visit: "https://evil.example/",
        "that is noise": lambda visit: "x" * 40,
        "of 100,000 letters": lambda visit: "x" * 100_000,
    },
)
def _(visit, scene, relay_state):
    return Post(visit, visit.mint(), relay_state=relay_state(visit))


def other(visit, scene, connection):
    return scene.connections[connection].visit().request_id


@each("unknown_request", "InResponseTo", {"of nothing": None, "of a request of another organization": "rival"})
def _(visit, scene, connection):
    return visit.mint(in_response_to=other(visit, scene, connection) if connection else "_" + "0" * 40)


@each(
    "other_browser",
    "InResponseTo",
    {"of another browser's request": "main", "of another browser's, to another connection": "other"},
)
def _(visit, scene, connection):
    return visit.mint(in_response_to=other(visit, scene, connection))


@attack("InResponseTo of another request of the same browser", "wrong_relay_state")
def _(visit, scene):
    return visit.mint(in_response_to=visit.connection.visit(cookies=visit.cookies).request_id)


@each(
    None,
    "an answer to a request that the same browser took to another connection",
    {
        "of another key": ("invalid_signature", "other"),
        # One provider may be connected twice with the same key: only its name tells which of them speaks.
        "of the same key": ("issuer", "twin"),
    },
)
def _(visit, scene, connection):
    there = scene.connections[connection].visit(cookies=visit.cookies)
    return Post(visit, visit.mint(in_response_to=there.request_id), relay_state=there.relay_state)


@each(
    "in_response_to",
    "InResponseTo of the confirmation",
    {
        "missing": {"confirmation_request": None},
        "empty": {"confirmation_request": " "},
        "of another": {"confirmation_request": "_" + "0" * 40},
    },
)
def _(visit, scene, changes):
    return visit.mint(**changes)


@each(
    None,
    "InResponseTo of the response",
    {
        "missing": ("not_an_answer", {"response_request": None}),
        "missing, and in the confirmation": (
            "not_an_answer",
            {"response_request": None, "confirmation_request": None},
        ),
        "of another": ("unknown_request", {"response_request": "_" + "0" * 40}),
    },
)
def _(visit, scene, changes):
    return visit.mint(**changes)


@each(
    None,
    "another connection's answer to this one's request",
    {"of another key": ("invalid_signature", "other"), "of the same key": ("issuer", "twin")},
)
def _(visit, scene, connection):
    connection = scene.connections[connection]
    return visit.mint(how=How(connection.key), issuer=connection.entity_id)


@each(
    None,
    "unsolicited, by another connection of the same key",
    {"which does not allow that": ("unsolicited", "main"), "as if by one of no organization": ("unknown_issuer", None)},
    connection="unasked",
)
def _(visit, scene, connection):
    issuer = scene.connections[connection].entity_id if connection else visit.connection.entity_id + "/"
    return Post(visit, unsolicited(visit, issuer=issuer), relay_state=None, cookies={})


@attack("another organization's connection, all its own", "unknown_request")
def _(visit, scene):
    rival = scene.connections["rival"].visit()
    return Post(visit, rival.mint(), relay_state=rival.relay_state, cookies=rival.cookies)


@attack("another organization's connection, addressed to this one", "invalid_signature")
def _(visit, scene):
    connection = scene.connections["rival"]
    return visit.mint(how=How(connection.key), issuer=connection.entity_id)


# Two organizations with the same provider: same name, same key. What it says to one of them, the other must not take.
def said_to_the_rival(visit, scene, **changes):
    rival = scene.rival
    said = {"destination": rival.acs, "recipient": rival.acs, "audiences": [[rival.entity_id]]}
    return unsolicited(visit, **{**said, **changes})


@each(
    None,
    "the same provider's assertion for another organization",
    {
        "as it came": ("destination", {}),
        "in an envelope for this one": ("audience", {"destination": ""}),
        "which is a service of both names": ("recipient", {"destination": "", "audiences": None}),
    },
    connection="shared",
)
def _(visit, scene, changes):
    return Post(visit, said_to_the_rival(visit, scene, **changes), relay_state=None, cookies={})


@attack("the same provider's answer to another organization's request", "unknown_request", connection="shared")
def _(visit, scene):
    there = scene.connections["shared at the rival"].visit()
    return Post(visit, there.mint(), relay_state=there.relay_state, cookies=there.cookies)


@attack("the same, in this one's name of the request", "audience", connection="shared")
def _(visit, scene):
    there = scene.connections["shared at the rival"].visit()
    here = {"destination": visit.connection.organization.acs, "response_request": visit.request_id}
    return Post(visit, there.mint(**here))


@attack("this organization's message, posted to another one", "unknown_request", connection="rival")
def _(visit, scene):
    acme = scene.connections["main"].visit()
    return Post(visit, acme.mint(), relay_state=acme.relay_state, cookies=acme.cookies)


@attack("a connection that is switched off", "connection_off")
def _(visit, scene):
    connection = visit.connection.organization.connect("off", [scene.stranger])
    waiting = connection.visit()
    path = f"/saml/connections/{connection.id}"
    visit.connection.organization.ask("PATCH", path, {"is_active": False})
    return Post(waiting, waiting.mint())


@attack("a connection that is deleted", "unknown_request")
def _(visit, scene):
    connection = visit.connection.organization.connect("gone", [scene.stranger])
    waiting = connection.visit()
    visit.connection.organization.ask("DELETE", f"/saml/connections/{connection.id}")
    return Post(waiting, waiting.mint())


@attack("a certificate that was replaced while the request was open", "invalid_signature")
def _(visit, scene):
    connection = visit.connection.organization.connect("rolled", [scene.stranger])
    waiting = connection.visit()
    visit.connection.organization.ask("PATCH", f"/saml/connections/{connection.id}", {"certificates": [Key.ec().pem]})
    return Post(waiting, waiting.mint(how=How(scene.stranger)))


@attack("unsolicited, in a browser that never was here, where that is not allowed", "unsolicited")
def _(visit, scene):
    return Post(visit, unsolicited(visit), relay_state=None, cookies={})


# Stolen on its way, and taken out of its envelope: the browser that asked is not there to vouch for.
@each(
    None,
    "where unsolicited is allowed: an answer to a request, InResponseTo taken from",
    {
        "the response": ("unasked", {"response_request": None}),
        "the assertion": ("other_browser", {"confirmation_request": None}),
    },
    connection="unasked",
)
def _(visit, scene, changes):
    return Post(visit, visit.mint(**changes), relay_state=None, cookies={})


@attack("the same, in the browser that asked", "not_an_answer", connection="unasked")
def _(visit, scene):
    return visit.mint(response_request=None)


@attack("where unsolicited is allowed: an answer to nothing we asked", "unknown_request", connection="unasked")
def _(visit, scene):
    message = visit.mint(in_response_to="_" + "0" * 40)
    return Post(visit, message, relay_state=None, cookies={})


# --- addresses to go on to

RETURN_TO = {
    "a URL": "https://evil.example/",
    "a URL without a scheme": "//evil.example/",
    "a backslash": "/\\evil.example/",
    "two backslashes": "\\\\evil.example/",
    "three slashes": "///evil.example/",
    "a scheme without slashes": "https:evil.example",
    "a script": "javascript:alert(1)",
    "data": "data:text/html,x",
    "a tab": "/\t/evil.example/",
    "a line end": "/\r\nLocation: https://evil.example/",
    "an encoded line end": "/%0d%0aLocation:%20https://evil.example/",
    "dots": "/..//evil.example/",
    "an at sign": "@evil.example/",
    "no slash": "evil.example",
    "spaces before": "  //evil.example/",
    "a NUL": "/\0//evil.example",
    "another letter for a slash": "/\uff0fevil.example",
    "10,000 letters": "/" + "a" * 10_000,
}


def at_once(posts):
    """Sends all of these at the same moment."""
    barrier = threading.Barrier(len(posts))

    def send(post):
        barrier.wait()
        return post.send()

    with ThreadPoolExecutor(len(posts)) as pool:
        return list(pool.map(send, posts))
