// The README's first invitation, by a program: an administrator invites Bob, who follows the link in his mail and is in.
// `./dev client typescript FOLDER` puts it beside tenantry.ts, which is generated from openapi.json.
import createClient from "openapi-fetch";
import type { components, paths } from "./tenantry.js";

type Problem = components["schemas"]["Problem"];

const url = setting("TENANTRY_URL");
const organization_slug = setting("DEMO_ORGANIZATION");

/** What was asked for. A refusal ends the program here. */
function good<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.error) throw new Error(`${answer.error.status} ${answer.error.code}: ${answer.error.detail}`);
  return answer.data as T;
}

/** Someone who calls with a token. */
function caller(token: string) {
  return createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
}

async function signIn(username: string, password: string) {
  const stranger = createClient<paths>({ baseUrl: url });
  const path = { organization_slug };
  const answer = await stranger.POST("/v1/orgs/{organization_slug}/iam/login", {
    params: { path },
    body: { username, password },
  });
  return caller(good(answer).token);
}

const admin = await signIn(setting("DEMO_ADMIN_EMAIL"), setting("DEMO_ADMIN_PASSWORD"));
const path = { organization_slug };

// A refusal says what is wrong with which field, in words for programs that never change.
const refused = await admin.POST("/v1/orgs/{organization_slug}/invitations", {
  params: { path },
  body: { invitee_identifier: "nobody", role: "reader" },
});
for (const { field, code } of refused.error?.errors ?? []) console.log(`refused: ${field} ${code}`);

// With a key it is safe to ask again when an answer got lost: it is done once.
const bob = `bob.${Date.now()}@example.com`;
const key = crypto.randomUUID();
const invite = () =>
  admin.POST("/v1/orgs/{organization_slug}/invitations", {
    params: { path, header: { "Idempotency-Key": key } },
    body: { invitee_identifier: bob, role: "reader", message: "Glad to have you." },
  });
const invitation = good(await invite());
const again = good(await invite());
console.log(`invited ${invitation.uuid === again.uuid ? "once" : "twice"}: ${invitation.status}`);

// Bob reads his mail and follows the link, which needs no credential.
const token = await tokenInMailTo(bob);
const stranger = createClient<paths>({ baseUrl: url });
const preview = good(await stranger.GET("/v1/invitations/preview", { params: { query: { token } } }));
console.log(`preview: ${preview.organization} invites ${preview.invitee_identifier} as ${preview.role}`);
const password = "correct horse battery xylophone";
const accepted = good(
  await stranger.POST("/v1/invitations/accept", {
    body: { token, first_name: "Bob", last_name: "Builder", password },
  }),
);
// An organization that demands single sign-on answers where to sign in instead.
if ("sign_in_url" in accepted) throw new Error(`Bob signs in at ${accepted.sign_in_url}`);

const me = good(
  await (await signIn(bob, password)).GET("/v1/orgs/{organization_slug}/iam/current-user", { params: { path } }),
);
console.log(`current user: ${me.full_name}, ${me.roles.join()} of ${me.organization.slug}`);

// A change of what was read, and of nothing newer: the second one comes too late.
const users = "/v1/orgs/{organization_slug}/users/{id}";
const user = await admin.GET(users, { params: { path: { ...path, id: me.id } } });
const asRead = { path: { ...path, id: good(user).id }, header: { "If-Match": user.response.headers.get("ETag") ?? "" } };
const changed = good(await admin.PATCH(users, { params: asRead, body: { observation: "Likes to build." } }));
const late = await admin.PATCH(users, { params: asRead, body: { observation: "Likes to paint." } });
console.log(`changed: ${changed.observation} Then ${late.error?.status} ${late.error?.code}`);

// A list in parts of one, until there is no next.
const limit = 1;
for (let offset = 0, more = true; more; offset += limit) {
  const query = { is_active: true, ordering: "email", limit, offset } as const;
  const part = good(await admin.GET("/v1/orgs/{organization_slug}/users", { params: { path, query } }));
  for (const { email } of part.results) console.log(`user ${offset + 1} of ${part.count}: ${email}`);
  more = part.next !== null;
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: . .local/env, which ./dev up writes`);
  return value;
}

/** Looks into the web mailbox of `./dev up`, for half a minute. */
async function tokenInMailTo(address: string): Promise<string> {
  for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((wake) => setTimeout(wake, 100))) {
    const mails = (await (await fetch(`${setting("TENANTRY_MAILBOX_URL")}/api/email`)).json()) as {
      to: { address: string }[];
      text: string;
    }[];
    const mail = mails.find((mail) => mail.to.some((to) => to.address === address));
    const token = mail?.text.match(/invitations\/accept\?token=([\w-]+)/)?.[1];
    if (token) return token;
  }
  throw new Error(`no mail to ${address}`);
}
