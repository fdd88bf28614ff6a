"""The README's first invitation, by a program: an administrator invites Bob, who follows the link in his mail and is in.

`./dev client python FOLDER` puts it beside the package tenantry, which is generated from openapi.json.
"""

import os
import re
import time
from typing import TypeVar
from uuid import uuid4

import httpx

from tenantry import AuthenticatedClient, Client
from tenantry.api.iam import iam_current_user, iam_login
from tenantry.api.invitations import accept_invitation, create_invitation, preview_invitation
from tenantry.api.users import change_user, get_user, list_users
from tenantry.models import (
    BuiltinRole,
    Invitation,
    InvitationAcceptIn,
    InvitationIn,
    ListUsersOrdering,
    LoginIn,
    Problem,
    SignInFirst,
    UserPatchIn,
)

T = TypeVar("T")

URL = os.environ["TENANTRY_URL"]
ORGANIZATION = os.environ["DEMO_ORGANIZATION"]
MAILBOX = os.environ["TENANTRY_MAILBOX_URL"]
PASSWORD = "correct horse battery xylophone"

stranger = Client(base_url=URL, raise_on_unexpected_status=True)


def good(answer: T | Problem | None) -> T:
    """What was asked for. A refusal ends the program here."""
    if answer is None or isinstance(answer, Problem):
        raise SystemExit(f"{answer.status} {answer.code}: {answer.detail}" if answer else "no answer")
    return answer


def sign_in(username: str, password: str) -> AuthenticatedClient:
    answer = iam_login.sync(ORGANIZATION, client=stranger, body=LoginIn(username=username, password=password))
    return AuthenticatedClient(base_url=URL, token=good(answer).token, raise_on_unexpected_status=True)


def token_in_mail_to(address: str) -> str:
    """Looks into the web mailbox of `./dev up`, for half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for mail in httpx.get(f"{MAILBOX}/api/email").json():
            found = re.search(r"invitations/accept\?token=([\w-]+)", mail["text"])
            if found and address in [to["address"] for to in mail["to"]]:
                return found[1]
        time.sleep(0.1)
    raise SystemExit(f"no mail to {address}")


admin = sign_in(os.environ["DEMO_ADMIN_EMAIL"], os.environ["DEMO_ADMIN_PASSWORD"])

# A refusal says what is wrong with which field, in words for programs that never change.
wrong = InvitationIn(invitee_identifier="nobody", role=BuiltinRole.READER)
refused = create_invitation.sync(ORGANIZATION, client=admin, body=wrong)
if isinstance(refused, Problem):
    for error in refused.errors:
        print(f"refused: {error.field} {error.code}")

# With a key it is safe to ask again when an answer got lost: it is done once.
bob, key = f"bob.{time.time_ns()}@example.com", str(uuid4())


def invite() -> Invitation:
    body = InvitationIn(invitee_identifier=bob, role=BuiltinRole.READER, message="Glad to have you.")
    return good(create_invitation.sync(ORGANIZATION, client=admin, body=body, idempotency_key=key))


invitation, again = invite(), invite()
print(f"invited {'once' if invitation.uuid == again.uuid else 'twice'}: {invitation.status.value}")

# Bob reads his mail and follows the link, which needs no credential.
token = token_in_mail_to(bob)
preview = good(preview_invitation.sync(client=stranger, token=token))
print(f"preview: {preview.organization} invites {preview.invitee_identifier} as {preview.role}")
accept = InvitationAcceptIn(token=token, first_name="Bob", last_name="Builder", password=PASSWORD)
accepted = good(accept_invitation.sync(client=stranger, body=accept))
if isinstance(accepted, SignInFirst):
    # An organization that demands single sign-on answers where to sign in instead.
    raise SystemExit(f"Bob signs in at {accepted.sign_in_url}")

me = good(iam_current_user.sync(ORGANIZATION, client=sign_in(bob, PASSWORD)))
print(f"current user: {me.full_name}, {','.join(me.roles)} of {me.organization.slug}")

# A change of what was read, and of nothing newer: the second one comes too late.
etag = get_user.sync_detailed(ORGANIZATION, me.id, client=admin).headers["ETag"]
build = UserPatchIn(observation="Likes to build.")
changed = good(change_user.sync(ORGANIZATION, me.id, client=admin, body=build, if_match=etag))
paint = UserPatchIn(observation="Likes to paint.")
late = change_user.sync(ORGANIZATION, me.id, client=admin, body=paint, if_match=etag)
if isinstance(late, Problem):
    print(f"changed: {changed.observation} Then {late.status} {late.code}")

# A list in parts of one, until there is no next.
limit, offset, more = 1, 0, True
while more:
    part = good(
        list_users.sync(
            ORGANIZATION, client=admin, is_active=True, ordering=ListUsersOrdering.EMAIL, limit=limit, offset=offset
        )
    )
    for user in part.results:
        print(f"user {offset + 1} of {part.count}: {user.email}")
    more, offset = part.next_ is not None, offset + limit
