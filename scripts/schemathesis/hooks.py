"""Who calls in `./dev check --api`, and requests that make sense.

The run's own credential must outlive it. An operator of the platform organization, who may do all there is to do, calls
everything but what ends sessions; that is left to the administrator of the demo organization, who signs in anew each time.
Reports of delivery are signed. Without secrets in the environment everybody is a stranger.
"""

import base64
import functools
import hashlib
import hmac
import os
import re
import time
import uuid

import requests
import schemathesis
from hypothesis import strategies

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


# Sixteen dots a side, all of them black: chance paints nothing.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQAAAAA3iMLMAA"
    "AADElEQVR42mNgIA0AAAAwAAEodEl9AAAAAElFTkSuQmCC"
)
schemathesis.openapi.media_type("image/png", strategies.just(PICTURE), aliases=["image/jpeg", "image/webp"])


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


def ask(method, path, body=None):
    """The operator's own call, beside those that are tried."""
    url = f"{os.environ['TENANTRY_URL']}/v1/orgs/{os.environ['OPERATOR_SLUG']}/{path}"
    answer = requests.request(method, url, json=body, headers={"Authorization": f"Bearer {token()}"}, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def put_picture():
    url = f"{os.environ['TENANTRY_URL']}/v1/orgs/{os.environ['OPERATOR_SLUG']}/settings/logo"
    headers = {"Authorization": f"Bearer {token()}", "Content-Type": "image/png"}
    requests.put(url, data=PICTURE, headers=headers, timeout=30).raise_for_status()


@functools.cache
def token():
    return sign_in("OPERATOR")


@functools.cache
def known():
    """Ids of what is there from the beginning to the end, by the field that takes one: chance finds none."""
    caller = ask("GET", "iam/current-user")
    user, folder = caller["id"], caller["root_folder_id"]
    role = next(role["id"] for role in ask("GET", "roles?limit=200")["results"] if role["builtin"])
    return {
        "user": user,
        "leader": user,
        "deputies": [user],
        "members": [user],
        "role": role,
        "folder": folder,
        "parent_folder": folder,
        "perimeter_folders": [folder],
        "user_groups": [],
        "teams": [],
    }


last_domain = []


def make(collection):
    """A new object, and its id."""
    name = str(uuid.uuid4())
    if collection == "email-domains":
        # In place of the one before, if that is still there: an organization claims few.
        there = {domain["id"] for domain in ask("GET", "email-domains?limit=200")["results"]}
        for domain in there.intersection(last_domain):
            ask("DELETE", f"email-domains/{domain}")
    bodies = {
        "email-domains": {"domain": f"{name}.example"},
        "invitations": {"invitee_identifier": f"{name}@example.com", "role": "reader"},
        "role-assignments": {"name": name} | {field: known()[field] for field in ("user", "role", "perimeter_folders")},
        "roles": {"name": name, "permissions": ["view_user"]},
        "users": {"email": f"{name}@example.com"},
    }
    made = ask("POST", collection, bodies.get(collection, {"name": name}))
    if collection == "email-domains":
        last_domain[:] = [made["id"]]
    return made.get("id") or made["uuid"]


@schemathesis.hook
def before_call(context, case, kwargs):
    """What makes sense beyond what the document can say. What is wrong on purpose stays wrong."""
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    operation = case.operation.definition.raw["operationId"]
    if os.environ.get("OPERATOR_PASSWORD") and is_valid and operation not in ENDS_SESSIONS:
        if case.meta.phase.name.value == "fuzzing":
            ask_for_what_is_there(case)
        name_what_is_there(case, operation)
        prepare(case, operation)
    page_one_way(case)


def ask_for_what_is_there(case):
    """An object of its own for each call, which may delete it, in the state it has and with a name that is free."""
    collections = "actors|email-domains|folders|invitations|role-assignments|roles|teams|user-groups|users"
    found = re.search(rf"/({collections})/{{(\w+)}}", case.operation.path)
    if not found:
        return
    collection = found[1].replace("actors", "users")
    case.path_parameters = {**case.path_parameters, found[2]: make(collection)}
    if "If-Match" in case.headers:
        case.headers["If-Match"] = "*"
    if isinstance(case.body, dict):
        name = str(uuid.uuid4())
        address = f"{name}@example.com"
        free = {"name": name, "email": address, "username": address}
        case.body = {field: free.get(field, value) for field, value in case.body.items()}


def name_what_is_there(case, operation):
    if not isinstance(case.body, dict):
        return
    body = {name: known().get(name, value) for name, value in case.body.items()}
    if operation == "create_invitation":
        body["role"] = "reader"
    elif operation == "create_email_domain":
        body["domain"] = f"{uuid.uuid4()}.example"
    elif operation in ("create_role_assignment", "replace_role_assignment"):
        # A role is given to a user or to a group.
        body = {name: value for name, value in body.items() if name != "user_group"} | {"user": known()["user"]}
    case.body = body


def prepare(case, operation):
    """What has to be so that a request can succeed."""
    if "X-Tenant" in case.headers:
        case.headers["X-Tenant"] = case.path_parameters["organization_slug"]
    if operation in ("get_enterprise_binding", "delete_enterprise_binding") and case.meta.phase.name.value == "fuzzing":
        ask("PUT", "enterprise-binding", {"id": "enterprise", "name": "Enterprise"})
        if "If-Match" in case.headers:
            case.headers["If-Match"] = "*"
    elif operation == "delete_logo" and case.meta.phase.name.value == "fuzzing":
        put_picture()
        if "If-Match" in case.headers:
            case.headers["If-Match"] = "*"
    elif operation == "increment_usage":
        ask("PUT", "usage/limit", {"limit": None})
        case.body = {"usage": 1}


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
