-- The second factor of a user: an authenticator app that shows a code every thirty seconds (RFC 6238).
create table totp_secrets (
    organization_id uuid        not null,
    user_id         uuid        not null,
    -- Encrypted by AES-256-GCM, for this organization and user only: nonce, ciphertext, tag.
    sealed          bytea       not null,
    -- Which key it is encrypted with: the name of one that is derived from the server key.
    key_id          text        not null,
    created_at      timestamptz not null,
    -- Null while the app has not shown a code yet: until then it protects nothing.
    confirmed_at    timestamptz,
    -- The time step of the last code that was taken: it, and those before it, are not taken again.
    last_step       bigint      not null default 0,
    -- How many codes were taken, recovery codes too. A half sign-in dies when it grows.
    codes_taken     bigint      not null default 0,
    -- Wrong codes since the last right one, and when the last of them came.
    wrong_codes     integer     not null default 0,
    last_wrong_at   timestamptz,
    constraint totp_secrets_pkey primary key (organization_id, user_id),
    constraint totp_secrets_user_fkey foreign key (organization_id, user_id) references users on delete cascade
);
call protect_tenant_table('totp_secrets', 'select, insert, update, delete');

-- Codes for whoever has lost his app, each for once: what was used is deleted.
create table recovery_codes (
    organization_id uuid  not null,
    user_id         uuid  not null,
    -- SHA-256 of the code; the code itself is stored nowhere. It has 120 random bits, so no slow hash is needed.
    digest          bytea not null,
    constraint recovery_codes_pkey primary key (organization_id, user_id, digest),
    constraint recovery_codes_totp_fkey foreign key (organization_id, user_id) references totp_secrets on delete cascade,
    constraint recovery_codes_digest_is_sha256 check (octet_length(digest) = 32)
);
call protect_tenant_table('recovery_codes', 'select, insert, delete');

-- Whoever's password someone else has set chooses one of his own before he gets in.
alter table users add column must_change_password boolean not null default false;
