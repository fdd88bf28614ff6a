"""Who calls in `./dev check --api`, and requests that make sense.

The run's own credential must outlive it. An operator of the platform organization, who may do all there is to do, calls
everything but what ends sessions; that is left to the administrator of the demo organization, who signs in anew each time.
Reports of delivery are signed. Without secrets in the environment everybody is a stranger.
"""

import functools
import hashlib
import hmac
import os
import time

import requests
import schemathesis

SIGNED = "record_email_events"
ENDS_SESSIONS = [
    "iam_logout",
    "iam_logoutall",
    "iam_revoke_sessions",
    "iam_end_session",
    "iam_set_up_totp",
    "iam_set_password",
    "reset_totp",
]


def sign_in(who):
    organization, username, password = (os.environ[f"{who}_{name}"] for name in ("SLUG", "EMAIL", "PASSWORD"))
    url = f"{os.environ['TENANTRY_URL']}/v1/orgs/{organization}/iam/login"
    answer = requests.post(url, json={"username": username, "password": password}, timeout=30)
    answer.raise_for_status()
    return answer.json()["token"]


class Bearer:
    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


if os.environ.get("OPERATOR_PASSWORD"):

    @schemathesis.auth(refresh_interval=None).apply_to(operation_id=ENDS_SESSIONS)
    class Quitter(Bearer):
        def get(self, case, context):
            return sign_in("QUITTER")

    # Signs in once, and takes a 401 for what it is.
    @schemathesis.auth(refresh_interval=86400, retry_on=[]).skip_for(operation_id=[SIGNED, *ENDS_SESSIONS])
    class Operator(Bearer):
        def get(self, case, context):
            return sign_in("OPERATOR")


class Signature(requests.auth.AuthBase):
    """Signs a body as it goes out, which `before_call` doesn't know yet."""

    def __call__(self, request):
        body = request.body or b""
        at = str(int(time.time())).encode()
        signed = at + b"." + (body.encode() if isinstance(body, str) else body)
        digest = hmac.new(os.environ["EMAIL_EVENTS_SECRET"].encode(), signed, hashlib.sha256).hexdigest()
        request.headers["X-Tenantry-Signature"] = f"t={at.decode()},v1={digest}"
        return request


if os.environ.get("EMAIL_EVENTS_SECRET"):
    schemathesis.auth.set_from_requests(Signature()).apply_to(operation_id=SIGNED)


@functools.cache
def known():
    """Ids of what every organization has: chance finds none."""
    token, slug = sign_in("OPERATOR"), os.environ["OPERATOR_SLUG"]

    def first(path):
        url = f"{os.environ['TENANTRY_URL']}/v1/orgs/{slug}/{path}"
        answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        answer.raise_for_status()
        return answer.json()["results"][0]["id"]

    return {"user": first("users"), "role": first("roles?search=reader"), "folder": first("folders")}


@schemathesis.hook
def before_call(context, case, kwargs):
    """What makes sense beyond what the document can say."""
    name_what_is_there(case)
    page_one_way(case)


def name_what_is_there(case):
    """A role is given to somebody who is there. What is wrong on purpose stays wrong."""
    is_given = case.operation.definition.raw["operationId"] in ("create_role_assignment", "replace_role_assignment")
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive and isinstance(case.body, dict)
    if is_given and is_valid and os.environ.get("OPERATOR_PASSWORD"):
        body = {name: value for name, value in case.body.items() if name not in ("user_group", "folder")}
        ids = known()
        case.body = {**body, "user": ids["user"], "role": ids["role"], "perimeter_folders": [ids["folder"]]}


def page_one_way(case):
    """Of the three ways to page, one: the document says only in words that they can't be combined. A cursor is empty, or
    one that the API gave out."""
    query = case.query or {}
    if "cursor" in query:
        unwanted = {"offset", "page", "page_size"}
    elif "page" in query or "page_size" in query:
        unwanted = {"limit", "offset"}
    else:
        return
    case.query = {
        name: "" if name == "cursor" else value for name, value in query.items() if name not in unwanted
    }


@schemathesis.hook
def after_call(context, case, response):
    """Notes what was done, for answered.py: to refuse everything would keep the document, too."""
    if 200 <= response.status_code < 300:
        with open(os.environ["ANSWERED"], "a") as file:
            file.write(f"{case.operation.definition.raw['operationId']}\n")
