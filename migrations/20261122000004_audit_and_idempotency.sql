-- Who did what to what, when, from where, with which credential. Append-only: the application may not change or delete.
create table audit_events (
    organization_id uuid        not null,
    id              uuid        not null,
    at              timestamptz not null,
    action          text        not null,
    object_type     text        not null,
    object_id       uuid,
    object_name     text,
    actor_id        uuid,
    actor_name      text,
    credential      text,
    client_address  text,
    client_id       text,
    request_id      text,
    details         jsonb       not null default '{}',
    constraint audit_events_pkey primary key (organization_id, id),
    constraint audit_events_organization_fkey foreign key (organization_id) references organizations
);
create index audit_events_newest on audit_events (organization_id, at desc, id desc);
call protect_tenant_table('audit_events', 'select, insert');

-- The answers of successful requests that carried an Idempotency-Key, kept for a day.
create table idempotency_keys (
    organization_id uuid        not null,
    user_id         uuid        not null,
    operation       text        not null,
    key             text        not null,
    body_digest     bytea       not null,
    answer          jsonb,
    created_at      timestamptz not null,
    constraint idempotency_keys_pkey primary key (organization_id, user_id, operation, key),
    constraint idempotency_keys_user_fkey foreign key (organization_id, user_id) references users on delete cascade
);
call protect_tenant_table('idempotency_keys', 'select, insert, update, delete');
