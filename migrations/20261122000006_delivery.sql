-- How a delivery ends after the mail server has taken the mail, whom not to mail again, and jobs that were put aside.

alter table email_messages drop constraint email_messages_status_known;
alter table email_messages add constraint email_messages_status_known check (status in
    ('queued', 'sending', 'sent', 'deferred', 'failed', 'bounced', 'complained', 'suppressed', 'canceled'));
-- When the events that reports told of happened, by the reporter's clock: of each kind the last one that counted, for
-- delivery the first. What is reported again, or was overtaken, is known by them.
alter table email_messages add column delivered_at timestamptz;
alter table email_messages add column bounced_at timestamptz;
alter table email_messages add column complained_at timestamptz;
-- The mail whose failure this one tells of.
alter table email_messages add column about_email_id uuid;
alter table email_messages add constraint email_messages_about_fkey
    foreign key (organization_id, about_email_id) references email_messages;
create unique index email_messages_one_notice_per_mail on email_messages (organization_id, about_email_id)
    where about_email_id is not null;

-- Addresses that are never mailed.
create table email_suppressions (
    organization_id uuid        not null,
    id              uuid        not null,
    address         text        not null,
    -- What it is compared by: lower case, the domain in ASCII.
    address_key     text        not null,
    reason          text        not null,
    detail          text,
    created_at      timestamptz not null,
    created_by      uuid,
    version         bigint      not null default 1,
    constraint email_suppressions_pkey primary key (organization_id, id),
    constraint email_suppressions_organization_fkey foreign key (organization_id) references organizations,
    constraint email_suppressions_created_by_fkey foreign key (organization_id, created_by) references users
        on delete set null (created_by),
    constraint email_suppressions_one_per_address unique (organization_id, address_key),
    constraint email_suppressions_reason_known check (reason in ('bounced', 'complained', 'manual'))
);
create index email_suppressions_newest on email_suppressions (organization_id, created_at desc, id desc);
call protect_tenant_table('email_suppressions', 'select, insert, update, delete');

-- New permissions, for the built-in roles of organizations that exist. Forced row-level security would hide their rows
-- from the owner too: it is lifted for these statements, under the lock that lifting it takes.
alter table roles no force row level security;
update roles set permissions = permissions || array['view_email_suppression', 'add_email_suppression', 'delete_email_suppression']
    where builtin and name = 'administrator' and not permissions @> array['view_email_suppression'];
update roles set permissions = permissions || array['view_email_suppression']
    where builtin and name = 'auditor' and not permissions @> array['view_email_suppression'];
alter table roles force row level security;

-- Jobs that were put aside, of all organizations: for the command line of whoever runs the deployment.
create function parked_jobs()
    returns table (organization_id uuid, slug text, id uuid, job text, parked_at timestamptz)
    language sql stable security definer set search_path = pg_catalog, public
    as $$
        select o.organization_id, g.slug, o.id, o.job, o.parked_at
        from public.outbox o
        join public.organizations g on g.organization_id = o.organization_id
        where o.parked_at is not null
        order by o.parked_at, o.id
    $$;
create index outbox_parked on outbox (parked_at) where parked_at is not null;

grant create on schema public to tenantry_across;
alter function parked_jobs() owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function parked_jobs() from public;
grant execute on function parked_jobs() to tenantry_app;
