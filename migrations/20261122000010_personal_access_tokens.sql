-- What an organization decides about credentials. A password shorter than 15 characters is never all there is
-- (NIST SP 800-63B-4): one may go below only where a second factor is demanded.
alter table organizations add column token_max_days integer not null default 365;
alter table organizations add column mfa_required boolean not null default false;
alter table organizations add column set_password_enabled boolean not null default true;
alter table organizations add constraint organizations_token_max_days_range check (token_max_days between 1 and 3650);
-- Whoever went below so far did so without one: passwords that people have stay, and the next ones are longer.
alter table organizations no force row level security;
update organizations set password_min_length = 15 where password_min_length < 15;
alter table organizations force row level security;
alter table organizations add constraint organizations_short_passwords_need_mfa
    check (password_min_length >= 15 or mfa_required);

-- What a person's programs call with: a token that does what he may, within its scope.
create table personal_access_tokens (
    organization_id uuid        not null,
    id              uuid        not null,
    user_id         uuid        not null,
    name            text        not null,
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_digest    bytea       not null,
    -- Code names of what it may be used for, of all that its owner may; null where it has no such limit.
    permissions     text[],
    created_at      timestamptz not null,
    expires_at      timestamptz not null,
    last_used_at    timestamptz,
    constraint personal_access_tokens_pkey primary key (organization_id, id),
    constraint personal_access_tokens_user_fkey foreign key (organization_id, user_id) references users on delete cascade,
    constraint personal_access_tokens_one_per_token unique (organization_id, token_digest),
    constraint personal_access_tokens_token_digest_is_sha256 check (octet_length(token_digest) = 32),
    constraint personal_access_tokens_name_length check (char_length(name) between 1 and 200)
);
create index personal_access_tokens_by_user on personal_access_tokens (organization_id, user_id);
create index personal_access_tokens_by_expiry on personal_access_tokens (organization_id, expires_at);
call protect_tenant_table('personal_access_tokens', 'select, insert, update, delete');

-- When a session was last used. Null: not since this column is there.
alter table sessions add column last_seen_at timestamptz;

-- A session on its way into a browser: a token for once, which is exchanged for a session of the browser's own. It dies
-- with the session that it was made with.
create table session_tokens (
    organization_id uuid        not null,
    id              uuid        not null,
    session_id      uuid        not null,
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_digest    bytea       not null,
    created_at      timestamptz not null,
    expires_at      timestamptz not null,
    constraint session_tokens_pkey primary key (organization_id, id),
    constraint session_tokens_session_fkey foreign key (organization_id, session_id) references sessions on delete cascade,
    constraint session_tokens_one_per_token unique (organization_id, token_digest),
    constraint session_tokens_token_digest_is_sha256 check (octet_length(token_digest) = 32)
);
create index session_tokens_by_session on session_tokens (organization_id, session_id);
create index session_tokens_by_expiry on session_tokens (organization_id, expires_at);
call protect_tenant_table('session_tokens', 'select, insert, delete');
