"""Messages that are good, in the wrong hands: another browser, another request, another organization, a second time."""

import threading

from mint import How, Key
from scene import attack, each
from world import Post


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
    ["wrong_relay_state"],
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


@attack("an answer to a request that the same browser took to another connection", "invalid_signature")
def _(visit, scene):
    there = scene.connections["other"].visit(cookies=visit.cookies)
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
    ["not_an_answer", "unknown_request"],
    "InResponseTo of the response",
    {
        "missing": {"response_request": None},
        "missing, and in the confirmation": {"response_request": None, "confirmation_request": None},
        "of another": {"response_request": "_" + "0" * 40},
    },
)
def _(visit, scene, changes):
    return visit.mint(**changes)


@attack("another connection's answer to this one's request", "invalid_signature")
def _(visit, scene):
    key, issuer = scene.connections["other"].key, scene.connections["other"].entity_id
    return visit.mint(how=How(key), issuer=issuer, assertion_issuer=issuer, response_issuer=issuer)


@attack("another organization's connection, all its own", "unknown_request")
def _(visit, scene):
    rival = scene.connections["rival"].visit()
    return Post(visit, rival.mint(), relay_state=rival.relay_state, cookies=rival.cookies)


@attack("another organization's connection, addressed to this one", "invalid_signature")
def _(visit, scene):
    connection = scene.connections["rival"]
    issuer = connection.entity_id
    return visit.mint(how=How(connection.key), issuer=issuer, assertion_issuer=issuer, response_issuer=issuer)


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
    message = visit.mint(in_response_to=None, response_request=None, confirmation_request=None)
    return Post(visit, message, relay_state=None, cookies={})


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


def both_at_once(post):
    """The same message twice at the same moment."""
    answers, barrier = [], threading.Barrier(2)

    def send():
        barrier.wait()
        answers.append(post.send())

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
