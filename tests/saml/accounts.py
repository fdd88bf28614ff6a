"""Good messages of people who are not to be let in, or not as whom they say."""

from again import Done
from mint import PERSISTENT, TRANSIENT
from protocol import claim
from scene import attack, each

claim("a NameID for one time only", "transient_name_id", format=TRANSIENT)
# Made by an administrator; the domain is bound to no connection.
claim(
    "someone's address, who is here already",
    "domain_not_bound",
    name_id="x-admin",
    format=PERSISTENT,
    attributes=lambda v, s: {"email": ["someone@unbound.example"]},
)
claim(
    "the same in capitals",
    "domain_not_bound",
    name_id="x-admin",
    format=PERSISTENT,
    attributes=lambda v, s: {"email": ["SOMEONE@UNBOUND.EXAMPLE"]},
)
claim("the same as NameID", "domain_not_bound", name_id="someone@unbound.example", attributes={})
claim("no e-mail address", "no_email", name_id="x-nobody", format=PERSISTENT, attributes={})
claim(
    "an e-mail address that is none",
    "no_email",
    name_id="x-nobody",
    format=PERSISTENT,
    attributes={"email": ["not an address"]},
)
claim(
    "an e-mail address with a line end",
    "no_email",
    name_id="x-nobody",
    format=PERSISTENT,
    attributes={"email": ["a@idp.example\nBcc: b@evil.example"]},
)


@attack("a superuser's address, whose domain is this connection's", "privileged_account", connection="bound")
def _(visit, scene):
    return visit.mint(name_id=scene.acme.email)


@attack("an address of a domain that is another connection's", "domain_of_another_connection")
def _(visit, scene):
    return visit.mint(
        name_id="x-other", format=PERSISTENT, attributes={"email": ["new@" + scene.acme.email.partition("@")[2]]}
    )


# --- known by another name, and not known at all


def person(visit, name, email):
    return visit.post(visit.mint(name_id=name, format=PERSISTENT, attributes={"email": [email]}))


@attack("an address that the provider has given to another person", "other_name_id")
def _(visit, scene):
    email = f"passed-on-{visit.request_id[1:13]}@idp.example"
    first = person(visit, "first " + email, email)
    return Done([first, person(visit.connection.visit(), "second " + email, email)], 1, new_people=1)


@attack("someone new, where nobody is made", "no_account", connection="closed")
def _(visit, scene):
    return visit.mint(name_id="stranger@closed.example")


@each(
    "domain_not_bound",
    "where nobody is made: the address of someone who is here",
    {"of a domain that is not this connection's": "someone@unbound.example", "the same in capitals": "SOMEONE@unbound.EXAMPLE"},
    connection="closed",
)
def _(visit, scene, email):
    return visit.mint(name_id=email)


# --- who was let in, and is not any more


@each(
    None,
    "someone who was here, now",
    {
        "switched off": ("inactive", {"is_active": False}),
        "expired": ("expired", {"expiry_date": "2020-01-01"}),
    },
)
def _(visit, scene, changes):
    name = f"former-{visit.request_id[1:13]}@idp.example"
    first = visit.post(visit.mint(name_id=name))
    if first.session:
        (user,) = scene.acme.ask("GET", f"/users?email={name}")["results"]
        scene.acme.ask("PATCH", f"/users/{user['id']}", changes)
    second = visit.connection.visit()
    return Done([first, second.post(second.mint(name_id=name))], 1, new_people=1)
