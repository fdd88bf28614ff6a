"""What an attack is, and the list of them."""

import copy
from dataclasses import dataclass

from lxml import etree
from mint import DS, SAML, SAMLP, How, parse

ATTACKS = []


@dataclass
class Attack:
    title: str
    expected: set
    make: object
    connection: str = "main"
    # All with this name must be answered alike, to the byte.
    alike: str | None = None
    # Words of the detail that administrators read: which of several checks with the same reason it was.
    because: str = ""


def attack(title, *expected, connection="main", alike=None, because=""):
    """Registers a function that gets a waiting browser (and the scene) and answers what it sends."""

    def register(make):
        ATTACKS.append(Attack(title, set(expected), make, connection, alike, because))
        return make

    return register


def each(expected, title, cases, connection="main", alike=None, because=""):
    """Registers one attack for each of some cases, by name. Where nothing is expected of all, each case is a pair of what is
    expected of it and the case."""

    def register(make):
        for name, case in cases.items():
            of_case, case = case if expected is None else (expected, case)
            attack(f"{title}: {name}", of_case, connection=connection, alike=alike, because=because)(
                lambda visit, scene, case=case: make(visit, scene, case)
            )
        return make

    return register


def find(root, name, namespace=SAML):
    return next(root.iter(f"{{{namespace}}}{name}"))


def text(root):
    return etree.tostring(root, encoding="unicode")


def forged(assertion, id_="_forged0000000000000000000000000000000000", name="admin@acme.example"):
    """A copy of an assertion that speaks of another person under another id, without its signature."""
    copy_ = copy.deepcopy(assertion)
    copy_.tail = None
    for signature in list(copy_.iter(f"{{{DS}}}Signature")):
        signature.getparent().remove(signature)
    if id_ is not None:
        copy_.set("ID", id_)
    find(copy_, "NameID").text = name
    for value in copy_.iter(f"{{{SAML}}}AttributeValue"):
        value.text = name
    return copy_


@dataclass
class Scene:
    """All that attacks may use beside the browser they get."""

    acme: object
    rival: object  # another organization
    connections: dict
    stranger: object  # a key that nobody trusts
    encryption: object  # the public key of acme
    trap: str  # an address that must never be called

    def how(self, visit, **changes):
        return How(visit.connection.key, **changes)


__all__ = ["ATTACKS", "SAMLP", "Attack", "Scene", "attack", "each", "find", "forged", "parse", "text"]
