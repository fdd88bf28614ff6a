-- What recurs, when it runs next, and who is at it. Of no organization: one row a schedule, for all of them together.
create table schedules (
    name              text        not null,
    next_run_at       timestamptz not null,
    -- Set while a run is under way. Once its lease is over, another worker goes on with the run.
    claim             uuid,
    claimed_until     timestamptz,
    -- The last organization handled in the run under way: whoever succeeds a worker that died goes on behind it.
    resume_after      uuid,
    last_started_at   timestamptz,
    last_finished_at  timestamptz,
    last_succeeded_at timestamptz,
    -- Of the run under way, else of the last one.
    organizations     integer     not null default 0,
    objects           bigint      not null default 0,
    failed            integer     not null default 0,
    last_error        text,
    constraint schedules_pkey primary key (name)
);
grant select, insert, update on schedules to tenantry_app;

-- The next organizations in the order of their ids, for what is done for each of them: ids only.
create function next_organizations(after uuid, at_most integer)
    returns table (organization_id uuid)
    language sql stable security definer set search_path = pg_catalog, public
    as $$
        select o.organization_id from public.organizations o
        where o.organization_id > coalesce(after, '00000000-0000-0000-0000-000000000000') and o.deleted_at is null
        order by o.organization_id limit at_most
    $$;

grant create on schema public to tenantry_across;
alter function next_organizations(uuid, integer) owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function next_organizations(uuid, integer) from public;
grant execute on function next_organizations(uuid, integer) to tenantry_app;

-- Addresses that an organization no longer reminds. What else it mails them, it still does.
create table email_opt_outs (
    organization_id uuid        not null,
    email_key       text        not null,
    covers          text        not null,
    created_at      timestamptz not null,
    constraint email_opt_outs_pkey primary key (organization_id, email_key, covers),
    constraint email_opt_outs_organization_fkey foreign key (organization_id) references organizations,
    constraint email_opt_outs_covers_known check (covers in ('reminders'))
);
call protect_tenant_table('email_opt_outs', 'select, insert');

-- The generation that a reminder was sent for: one a generation.
alter table invitations add column reminded_generation integer;
create index invitations_to_remind on invitations (organization_id, valid_until, id)
    where state = 'open' and reminded_generation is distinct from generation;

-- The expiry date that the last notice was about, and how many days ahead it was meant to come; the expiry date after
-- which sessions were cleaned away. A new date begins anew.
alter table users add column expiry_noticed_for date;
alter table users add column expiry_noticed_days smallint;
alter table users add column expiry_ended_for date;
create index users_by_expiry on users (organization_id, expiry_date) where expiry_date is not null;

-- What is cleaned away, by when it is due.
create index sessions_by_expiry on sessions (organization_id, expires_at);
create index idempotency_keys_by_age on idempotency_keys (organization_id, created_at);
create index password_resets_by_end on password_resets (organization_id, least(used_at, superseded_at, valid_until));
grant delete on password_resets to tenantry_app;
-- Deleting a reset clears it in the mails about it.
create index email_messages_by_password_reset on email_messages (organization_id, password_reset_id)
    where password_reset_id is not null;
