"""Who calls in `./dev check --api`, and requests that make sense.

The run's own credential must outlive it. An operator of the platform organization, who may do all there is to do, calls
everything but what ends sessions; that is left to the administrator of the demo organization, who signs in anew each time.
Without passwords in the environment everybody is a stranger.
"""

import os

import requests
import schemathesis

ENDS_SESSIONS = ["iam_logout", "iam_logoutall", "iam_revoke_sessions"]


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
    @schemathesis.auth(refresh_interval=86400, retry_on=[]).skip_for(operation_id=ENDS_SESSIONS)
    class Operator(Bearer):
        def get(self, case, context):
            return sign_in("OPERATOR")


@schemathesis.hook
def before_call(context, case, kwargs):
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
