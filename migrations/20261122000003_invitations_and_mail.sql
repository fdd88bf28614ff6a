create table invitations (
    organization_id    uuid        not null,
    id                 uuid        not null,
    invitee_identifier text        not null,
    email_key          text        not null,
    role_id            uuid,
    folder_id          uuid        not null,
    -- The first administrator of a new organization.
    is_superuser       boolean     not null default false,
    locale             text        not null,
    message            text,
    invited_by         uuid,
    created_at         timestamptz not null,
    sent_at            timestamptz not null,
    valid_for          integer     not null,
    valid_until        timestamptz not null,
    -- Expiry is not a state: it is `open` and past `valid_until`. `expired` is written only to make room for a new one.
    state              text        not null default 'open',
    -- Part of the link: raising it makes every earlier link dead.
    generation         integer     not null default 1,
    resent_count       integer     not null default 0,
    resent_on          date,
    resent_that_day    integer     not null default 0,
    closed_at          timestamptz,
    email_id           uuid,
    version            bigint      not null default 1,
    constraint invitations_pkey primary key (organization_id, id),
    constraint invitations_organization_fkey foreign key (organization_id) references organizations,
    constraint invitations_role_fkey foreign key (organization_id, role_id) references roles,
    constraint invitations_folder_fkey foreign key (organization_id, folder_id) references folders,
    constraint invitations_invited_by_fkey foreign key (organization_id, invited_by) references users
        on delete set null (invited_by),
    constraint invitations_state_known check (state in ('open', 'accepted', 'declined', 'revoked', 'expired')),
    constraint invitations_valid_for_range check (valid_for between 3600 and 7776000)
);
create unique index invitations_one_open_per_email on invitations (organization_id, email_key) where state = 'open';
create index invitations_newest on invitations (organization_id, created_at desc, id desc);
call protect_tenant_table('invitations', 'select, insert, update');

create table invitation_user_groups (
    organization_id uuid not null,
    invitation_id   uuid not null,
    user_group_id   uuid not null,
    constraint invitation_user_groups_pkey primary key (organization_id, invitation_id, user_group_id),
    constraint invitation_user_groups_invitation_fkey foreign key (organization_id, invitation_id) references invitations on delete cascade,
    constraint invitation_user_groups_group_fkey foreign key (organization_id, user_group_id) references user_groups on delete cascade
);
call protect_tenant_table('invitation_user_groups', 'select, insert, delete');

-- One row a mail: what, to whom, in which language, and how its delivery stands. No body, no link, no secret.
create table email_messages (
    organization_id   uuid        not null,
    id                uuid        not null,
    kind              text        not null,
    to_address        text        not null,
    locale            text        not null,
    invitation_id     uuid,
    -- The generation of the invitation this mail is for: a mail overtaken by a resend is not sent.
    generation        integer,
    user_id           uuid,
    password_reset_id uuid,
    status            text        not null default 'queued',
    attempts          integer     not null default 0,
    last_error        text,
    created_at        timestamptz not null,
    give_up_at        timestamptz not null,
    sent_at           timestamptz,
    version           bigint      not null default 1,
    constraint email_messages_pkey primary key (organization_id, id),
    constraint email_messages_organization_fkey foreign key (organization_id) references organizations,
    constraint email_messages_invitation_fkey foreign key (organization_id, invitation_id) references invitations,
    constraint email_messages_user_fkey foreign key (organization_id, user_id) references users on delete set null (user_id),
    constraint email_messages_password_reset_fkey foreign key (organization_id, password_reset_id)
        references password_resets on delete set null (password_reset_id),
    constraint email_messages_status_known check (status in
        ('queued', 'sending', 'sent', 'deferred', 'failed', 'bounced', 'suppressed', 'canceled'))
);
create index email_messages_newest on email_messages (organization_id, created_at desc, id desc);
alter table invitations add constraint invitations_email_fkey
    foreign key (organization_id, email_id) references email_messages;
call protect_tenant_table('email_messages', 'select, insert, update');

-- A long-running job that a caller can watch at `/jobs/{id}`.
create table jobs (
    organization_id uuid        not null,
    id              uuid        not null,
    kind            text        not null,
    parameters      jsonb       not null,
    status          text        not null default 'queued',
    total           integer     not null default 0,
    done            integer     not null default 0,
    failed          integer     not null default 0,
    -- The last object handled: a job that died goes on behind it.
    resume_after    uuid,
    created_by      uuid,
    created_at      timestamptz not null,
    finished_at     timestamptz,
    constraint jobs_pkey primary key (organization_id, id),
    constraint jobs_organization_fkey foreign key (organization_id) references organizations,
    constraint jobs_created_by_fkey foreign key (organization_id, created_by) references users on delete set null (created_by),
    constraint jobs_status_known check (status in ('queued', 'running', 'finished', 'failed'))
);
call protect_tenant_table('jobs', 'select, insert, update');

-- What must still be done. A row is written with the change that asks for it and lives until the work is done: Redis
-- only carries its id to a worker, and whatever Redis forgets is pushed again from here.
create table outbox (
    organization_id uuid        not null,
    id              uuid        not null,
    job             text        not null,
    subject_id      uuid        not null,
    -- 0 interactive (someone waits for it), 1 bulk.
    lane            smallint    not null,
    created_at      timestamptz not null,
    -- When to push it (again). While a worker holds it: when its lease ends.
    due_at          timestamptz not null,
    pushed_at       timestamptz,
    -- Which life of Redis it was pushed into: a Redis that came back empty has another.
    pushed_epoch    uuid,
    claim           uuid,
    claimed_until   timestamptz,
    -- Takes that ended without a word. An orderly outcome sets it back; too many park the job.
    takes           integer     not null default 0,
    parked_at       timestamptz,
    constraint outbox_pkey primary key (organization_id, id),
    constraint outbox_organization_fkey foreign key (organization_id) references organizations,
    constraint outbox_one_per_subject unique (organization_id, job, subject_id),
    constraint outbox_lane_known check (lane in (0, 1))
);
create index outbox_due on outbox (lane, due_at) where parked_at is null;
create index outbox_pushed on outbox (due_at) where pushed_at is not null and parked_at is null;
call protect_tenant_table('outbox', 'select, insert, update, delete');
call open_across('outbox', 'select, update');

-- Claims what is due for pushing in a lane, keeping at most `in_flight` jobs of it under way, and marks it pushed.
-- `epoch` names the present life of Redis: what was pushed into an earlier one is due at once.
create function claim_outbox(wanted smallint, at timestamptz, epoch uuid, in_flight integer, redeliver interval)
    returns table (organization_id uuid, id uuid)
    language sql volatile security definer set search_path = pg_catalog, public
    as $$
        with room as (
            select greatest(in_flight - count(*), 0)::integer as places
            from public.outbox o
            where o.lane = wanted and o.pushed_at is not null and o.parked_at is null and o.due_at > at
              and o.pushed_epoch = epoch
        ), due as (
            select o.organization_id, o.id
            from public.outbox o
            where o.lane = wanted and o.parked_at is null
              and (o.due_at <= at or (o.pushed_epoch <> epoch and o.claim is null))
              -- While we were away, leases could not be renewed: give who holds one time to say so.
              and (o.claim is null or pg_postmaster_start_time() < clock_timestamp() - interval '15 seconds')
            order by o.due_at
            limit (select places from room)
            for update skip locked
        )
        update public.outbox o
        set pushed_at = at, pushed_epoch = epoch, due_at = at + redeliver
        from due
        where o.organization_id = due.organization_id and o.id = due.id
        returning o.organization_id, o.id
    $$;

-- How much waits and since when, for metrics: numbers only.
create function outbox_depth(at timestamptz)
    returns table (lane smallint, waiting bigint, parked bigint, oldest_seconds double precision)
    language sql stable security definer set search_path = pg_catalog, public
    as $$
        select o.lane,
               count(*) filter (where o.parked_at is null),
               count(*) filter (where o.parked_at is not null),
               coalesce(extract(epoch from at - min(o.due_at) filter (where o.parked_at is null and o.due_at <= at)), 0)::double precision
        from public.outbox o group by o.lane
    $$;

grant create on schema public to tenantry_across;
alter function claim_outbox(smallint, timestamptz, uuid, integer, interval) owner to tenantry_across;
alter function outbox_depth(timestamptz) owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function claim_outbox(smallint, timestamptz, uuid, integer, interval), outbox_depth(timestamptz) from public;
grant execute on function claim_outbox(smallint, timestamptz, uuid, integer, interval), outbox_depth(timestamptz) to tenantry_app;
