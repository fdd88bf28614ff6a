-- Single sign-on (SAML 2.0). Each organization is a service provider of its own, with its own keys.
create table saml_keys (
    organization_id uuid        not null,
    id              uuid        not null,
    -- 'active' signs and is published; 'next' is published beside it, so that identity providers know it before it is used;
    -- 'previous' was active before: it still opens what was encrypted for it, and is published no more.
    state           text        not null,
    -- X.509, DER.
    certificate     bytea       not null,
    -- SHA-256 of the certificate, hexadecimal.
    fingerprint     text        not null,
    not_before      timestamptz not null,
    not_after       timestamptz not null,
    -- PKCS #8, DER, encrypted by AES-256-GCM for this organization and key only: nonce, ciphertext, tag.
    sealed          bytea       not null,
    -- Which key it is encrypted with: the name of one that is derived from the server key.
    key_id          text        not null,
    created_at      timestamptz not null,
    -- How many days ahead administrators were last told that the certificate ends.
    noticed_days    smallint,
    constraint saml_keys_pkey primary key (organization_id, id),
    constraint saml_keys_organization_fkey foreign key (organization_id) references organizations,
    constraint saml_keys_one_per_state unique (organization_id, state),
    constraint saml_keys_state_is_known check (state in ('active', 'next', 'previous'))
);
call protect_tenant_table('saml_keys', 'select, insert, update, delete');

-- A company's identity provider.
create table saml_connections (
    organization_id     uuid        not null,
    id                  uuid        not null,
    name                text        not null,
    is_active           boolean     not null,
    -- Its entity id: who must have issued what it sends.
    entity_id           text        not null,
    sso_url             text        not null,
    sso_binding         text        not null,
    slo_url             text,
    -- Where answers to its logout requests go, if not to slo_url.
    slo_response_url    text,
    slo_binding         text,
    -- X.509, DER: whose keys its signatures are verified with.
    certificates        bytea[]     not null,
    -- Where its metadata is fetched anew each day.
    metadata_url        text,
    metadata_fetched_at timestamptz,
    -- Why the last fetch failed; what was fetched before stays in force.
    metadata_error      text,
    metadata_valid_until timestamptz,
    -- The NameID format that requests ask for; null asks for none.
    name_id_format      text,
    -- {"email": …, "first_name": …, "last_name": …, "groups": …}: names of attributes, where they are not the usual ones.
    attribute_mapping   jsonb       not null default '{}',
    -- Makes users who are not there yet.
    jit_provisioning    boolean     not null,
    -- The built-in group at the root that they join.
    default_group_id    uuid,
    idp_initiated       boolean     not null,
    sign_requests       boolean     not null,
    -- AES-CBC, which is not authenticated, for providers that know nothing else.
    allow_cbc           boolean     not null,
    -- When a test sign-in last passed, with the settings of now: a change of what a test shows takes it away.
    tested_at           timestamptz,
    -- The end of the certificates that administrators were last told of, and how many days ahead. Another end begins anew.
    noticed_for         timestamptz,
    noticed_days        smallint,
    version             bigint      not null default 1,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    constraint saml_connections_pkey primary key (organization_id, id),
    constraint saml_connections_organization_fkey foreign key (organization_id) references organizations,
    constraint saml_connections_group_fkey foreign key (organization_id, default_group_id) references user_groups
        on delete set null (default_group_id),
    -- What comes unasked is known by its issuer alone.
    constraint saml_connections_one_per_entity_id unique (organization_id, entity_id),
    constraint saml_connections_bindings_are_known
        check (sso_binding in ('redirect', 'post') and slo_binding in ('redirect', 'post')),
    constraint saml_connections_slo_is_whole check ((slo_url is null) = (slo_binding is null))
);
call protect_tenant_table('saml_connections', 'select, insert, update, delete');

-- E-mail domains whose people sign in through a connection: there it may take over accounts that exist.
create table saml_connection_domains (
    organization_id uuid not null,
    domain          text not null,
    connection_id   uuid not null,
    constraint saml_connection_domains_pkey primary key (organization_id, domain),
    constraint saml_connection_domains_connection_fkey foreign key (organization_id, connection_id)
        references saml_connections on delete cascade
);
create index saml_connection_domains_by_connection on saml_connection_domains (organization_id, connection_id);
call protect_tenant_table('saml_connection_domains', 'select, insert, delete');

-- Which of our groups a group of the company's directory is. Whoever signs in joins those his groups map to, and leaves the
-- other mapped ones: groups that are mapped are the directory's.
create table saml_group_mappings (
    organization_id uuid not null,
    connection_id   uuid not null,
    -- As the identity provider sends it.
    directory_group text not null,
    user_group_id   uuid not null,
    constraint saml_group_mappings_pkey primary key (organization_id, connection_id, directory_group, user_group_id),
    constraint saml_group_mappings_connection_fkey foreign key (organization_id, connection_id)
        references saml_connections on delete cascade,
    constraint saml_group_mappings_group_fkey foreign key (organization_id, user_group_id) references user_groups
        on delete cascade
);
create index saml_group_mappings_by_group on saml_group_mappings (organization_id, user_group_id);
call protect_tenant_table('saml_group_mappings', 'select, insert, delete');

-- Who someone is to an identity provider.
create table saml_identities (
    organization_id uuid        not null,
    connection_id   uuid        not null,
    name_id         text        not null,
    user_id         uuid        not null,
    created_at      timestamptz not null,
    last_used_at    timestamptz not null,
    constraint saml_identities_pkey primary key (organization_id, connection_id, name_id),
    constraint saml_identities_one_per_user unique (organization_id, user_id, connection_id),
    constraint saml_identities_connection_fkey foreign key (organization_id, connection_id)
        references saml_connections on delete cascade,
    constraint saml_identities_user_fkey foreign key (organization_id, user_id) references users on delete cascade
);
call protect_tenant_table('saml_identities', 'select, insert, update, delete');

-- What we asked an identity provider and wait for: used once, by the browser that was sent there.
create table saml_requests (
    organization_id uuid        not null,
    -- The ID of the message; 160 random bits.
    id              text        not null,
    connection_id   uuid        not null,
    purpose         text        not null,
    -- RelayState: an opaque key to this row, never an address.
    relay_state     text        not null,
    -- SHA-256 of a cookie of the browser that was sent.
    browser_digest  bytea       not null,
    -- A path of ours.
    return_to       text        not null,
    -- Whose test it is, or who connects his account.
    user_id         uuid,
    -- The session in which he asked for that. It need not be there any more: that it ended is a reason to refuse the answer.
    session_id      uuid,
    -- The invitation whose link led here, as it was in that mail.
    invitation_id   uuid,
    invitation_generation integer,
    created_at      timestamptz not null,
    expires_at      timestamptz not null,
    constraint saml_requests_pkey primary key (organization_id, id),
    constraint saml_requests_one_per_relay_state unique (organization_id, relay_state),
    constraint saml_requests_connection_fkey foreign key (organization_id, connection_id)
        references saml_connections on delete cascade,
    constraint saml_requests_user_fkey foreign key (organization_id, user_id) references users on delete cascade,
    constraint saml_requests_invitation_fkey foreign key (organization_id, invitation_id) references invitations
        on delete cascade,
    constraint saml_requests_purpose_is_known check (purpose in ('sign_in', 'connect', 'test', 'logout')),
    constraint saml_requests_connect_is_whole check (purpose <> 'connect' or user_id is not null and session_id is not null),
    constraint saml_requests_invitation_is_whole check ((invitation_id is null) = (invitation_generation is null))
);
create index saml_requests_by_end on saml_requests (organization_id, expires_at);
-- One browser has so many open at most.
create index saml_requests_by_browser on saml_requests (organization_id, browser_digest);
call protect_tenant_table('saml_requests', 'select, insert, delete');

-- Messages that were taken: none is taken twice. Kept until it would be refused for its age.
create table saml_messages (
    organization_id uuid        not null,
    connection_id   uuid        not null,
    -- SHA-256 of the message's ID.
    digest          bytea       not null,
    expires_at      timestamptz not null,
    constraint saml_messages_pkey primary key (organization_id, connection_id, digest),
    constraint saml_messages_connection_fkey foreign key (organization_id, connection_id)
        references saml_connections on delete cascade
);
create index saml_messages_by_end on saml_messages (organization_id, expires_at);
call protect_tenant_table('saml_messages', 'select, insert, delete');

-- What came of sign-ins through identity providers: for administrators who look for what is wrong.
create table saml_events (
    organization_id uuid        not null,
    id              uuid        not null,
    created_at      timestamptz not null,
    kind            text        not null,
    outcome         text        not null,
    -- A code of why it was refused, and the same in words. Nothing of the content of an assertion.
    reason          text,
    detail          text,
    connection_id   uuid,
    connection_name text,
    issuer          text,
    assertion_id    text,
    -- SHA-256 of the certificate that verified it.
    fingerprint     text,
    user_id         uuid,
    client_address  text,
    user_agent      text,
    request_id      text,
    constraint saml_events_pkey primary key (organization_id, id),
    constraint saml_events_organization_fkey foreign key (organization_id) references organizations,
    constraint saml_events_kind_is_known check (kind in ('sign_in', 'connect', 'test', 'logout')),
    constraint saml_events_outcome_is_known check (outcome in ('accepted', 'refused'))
);
create index saml_events_by_time on saml_events (organization_id, created_at);
call protect_tenant_table('saml_events', 'select, insert, delete');

-- A session that began at an identity provider can be ended from there. Without the connection there is no such session.
alter table sessions
    add column saml_connection_id uuid,
    add column saml_name_id       text,
    -- {"format": …, "name_qualifier": …, "sp_name_qualifier": …}: said again when we end it there.
    add column saml_name_id_attributes jsonb,
    add column saml_session_index text,
    add constraint sessions_saml_connection_fkey foreign key (organization_id, saml_connection_id)
        references saml_connections on delete cascade;
create index sessions_by_saml_name_id on sessions (organization_id, saml_connection_id, saml_name_id)
    where saml_connection_id is not null;

-- From when on people sign in through an identity provider only; null: they needn't.
alter table organizations add column sso_required_from timestamptz;

-- Whether someone may sign in with a password, and have one set: where single sign-on is demanded, only who is excepted.
create function may_use_password(is_local boolean, keep_local_login boolean, sso_required_from timestamptz, at timestamptz)
    returns boolean language sql immutable parallel safe
    return keep_local_login or is_local and coalesce(sso_required_from > at, true);

-- What the last test sign-in of an administrator through a connection showed. It signs nobody in.
create table saml_tests (
    organization_id uuid        not null,
    connection_id   uuid        not null,
    user_id         uuid        not null,
    -- SHA-256 of the token in the address that begins it; null once that was opened.
    token_digest    bytea,
    started_at      timestamptz not null,
    -- Until when it may be finished.
    expires_at      timestamptz not null,
    finished_at     timestamptz,
    -- The check that failed, and the same in words; null if none did.
    reason          text,
    detail          text,
    -- What the assertion said, as far as it was believed: {"name_id": …, "attributes": […]}.
    said            jsonb,
    constraint saml_tests_pkey primary key (organization_id, connection_id, user_id),
    constraint saml_tests_connection_fkey foreign key (organization_id, connection_id)
        references saml_connections on delete cascade,
    constraint saml_tests_user_fkey foreign key (organization_id, user_id) references users on delete cascade
);
create index saml_tests_by_end on saml_tests (organization_id, expires_at);
call protect_tenant_table('saml_tests', 'select, insert, update, delete');
-- What a mail about a certificate is about: a key of ours, or an identity provider.
alter table email_messages
    add column saml_key_id        uuid,
    add column saml_connection_id uuid,
    add constraint email_messages_saml_key_fkey foreign key (organization_id, saml_key_id) references saml_keys
        on delete set null (saml_key_id),
    add constraint email_messages_saml_connection_fkey foreign key (organization_id, saml_connection_id)
        references saml_connections on delete set null (saml_connection_id);
create index email_messages_by_saml_key on email_messages (organization_id, saml_key_id) where saml_key_id is not null;
create index email_messages_by_saml_connection on email_messages (organization_id, saml_connection_id)
    where saml_connection_id is not null;

-- Organizations that have values encrypted with other keys than those of these names, and how many: whether the server key is
-- the one that they were written with. Also deleted ones, for they can come back.
call open_across('totp_secrets', 'select (organization_id, key_id)');
call open_across('saml_keys', 'select (organization_id, key_id)');
create function sealed_otherwise(known text[])
    returns table (organization_id uuid, how_many bigint)
    language sql stable security definer set search_path = pg_catalog, public
    as $$
        select s.organization_id, count(*) from (
            select t.organization_id, t.key_id from public.totp_secrets t
            union all select k.organization_id, k.key_id from public.saml_keys k) s
        where s.key_id <> all (known)
        group by s.organization_id order by s.organization_id
    $$;
grant create on schema public to tenantry_across;
alter function sealed_otherwise(text[]) owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function sealed_otherwise(text[]) from public;
grant execute on function sealed_otherwise(text[]) to tenantry_app;
