"""After `./dev check --api`: which operations never did what they are for, though they were asked by someone who may?

    answered.py DOCUMENT FILE

FILE has the operation id of each answer of 2xx, as hooks.py notes them.
"""

import json
import sys

# What can't be asked by chance.
OUT_OF_REACH = {
    # The link of a mail.
    "accept_invitation",
    "decline_invitation",
    "iam_password_reset_confirm",
    "preview_invitation",
    # A password. (hooks.py signs in, or nobody would get anywhere.)
    "iam_change_password",
    "iam_login",
    # A session of one's own: only the list of them tells its id.
    "iam_end_session",
    # Another's password, typed twice.
    "iam_set_password",
    # A code that an authenticator app shows.
    "iam_remove_totp",
    "iam_replace_recovery_codes",
    # Someone else who has a second factor.
    "reset_totp",
    # A connection of its own, and a next key beside the active one: an organization has few of both.
    "activate_saml_key",
    "change_saml_connection",
    "delete_saml_connection",
    "delete_saml_key",
    "get_saml_connection",
    "replace_saml_connection",
    # A minute since the mail before.
    "resend_invitation",
    "resend_invitation_in_place",
    # Another organization than the one that everyone calls from: the platform's can't be deleted.
    "delete_organization",
    "restore_organization",
    # It answers 303.
    "go_to_portal",
    # A mail that failed.
    "retry_email",
    # A job just made, which not every seed comes to ask for.
    "get_job",
}

document, file = sys.argv[1:]
with open(document) as text:
    methods = [method for path in json.load(text)["paths"].values() for method in path.values()]
operations = {method["operationId"] for method in methods}
with open(file) as text:
    answered = set(text.read().split())

unknown = sorted(OUT_OF_REACH - operations)
refused = sorted(operations - OUT_OF_REACH - answered)
if unknown:
    print(f"answered.py leaves out what is not in the document: {', '.join(unknown)}", file=sys.stderr)
if refused:
    print(f"No valid request was answered with 2xx: {', '.join(refused)}", file=sys.stderr)
sys.exit(1 if unknown or refused else 0)
