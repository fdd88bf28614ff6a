-- The end of an organization: deleted, it can be restored for a while; then all of it is deleted but its slug, which is never
-- given out again.
create index organizations_deleted on organizations (organization_id) where deleted_at is not null;

-- Organizations whose time to be restored is over, in the order of their ids, for the purge: ids only.
create function next_deleted_organizations(after uuid, deleted_before timestamptz, at_most integer)
    returns table (organization_id uuid)
    language sql stable security definer set search_path = pg_catalog, public
    as $$
        select o.organization_id from public.organizations o
        where o.organization_id > coalesce(after, '00000000-0000-0000-0000-000000000000') and o.deleted_at <= deleted_before
        order by o.organization_id limit at_most
    $$;
grant create on schema public to tenantry_across;
alter function next_deleted_organizations(uuid, timestamptz, integer) owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function next_deleted_organizations(uuid, timestamptz, integer) from public;
grant execute on function next_deleted_organizations(uuid, timestamptz, integer) to tenantry_app;

-- Deletes at most so many rows of the transaction's organization, if it was deleted before `deleted_before`; at last the
-- organization. Answers how many rows it deleted: fewer than asked for does not mean that nothing is left, none does.
--
-- It belongs to the owner of the tables, for the application may delete neither audit events nor organizations. Row-level
-- security, which is forced, holds it to the one organization. Tables are found in the catalogue, so that a new one is not
-- forgotten: of those that have rows, the first that no other of them refers to.
create function purge_organization(deleted_before timestamptz, at_most integer)
    returns integer
    language plpgsql volatile security definer set search_path = pg_catalog, public
    as $$
    declare
        ours constant uuid := current_organization_id();
        candidate oid;
        has_rows boolean;
        filled oid[] := '{}';
        chosen oid;
        purged integer;
    begin
        -- Whoever restores it holds this row, too.
        perform from organizations o where o.organization_id = ours and o.deleted_at <= deleted_before for update;
        if not found then
            return 0;
        end if;

        -- Where rows of two tables, or of one, name each other, they are parted first.
        update invitations i set email_id = null where i.ctid = any(array(
            select t.ctid from invitations t where t.organization_id = ours and t.email_id is not null limit at_most));
        get diagnostics purged = row_count;
        if purged > 0 then
            return purged;
        end if;
        update email_messages e set about_email_id = null where e.ctid = any(array(
            select t.ctid from email_messages t where t.organization_id = ours and t.about_email_id is not null limit at_most));
        get diagnostics purged = row_count;
        if purged > 0 then
            return purged;
        end if;

        for candidate in
            select c.oid from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
              and a.attname = 'organization_id' and not a.attisdropped
              and c.oid not in ('organizations'::regclass, 'organization_slugs'::regclass)
            order by c.relname
        loop
            execute format('select exists (select from %s where organization_id = $1)', candidate::regclass) into has_rows using ours;
            if has_rows then
                filled := filled || candidate;
            end if;
        end loop;
        if filled = '{}' then
            delete from organizations o where o.organization_id = ours;
            return 1;
        end if;

        select f into chosen from unnest(filled) with ordinality u(f, place)
        where not exists (
            select from pg_constraint k
            where k.contype = 'f' and k.confrelid = f and k.conrelid <> f and k.conrelid = any(filled)
              and k.conname <> 'invitations_email_fkey')
        order by place limit 1;
        if chosen is null then
            raise exception 'tables refer to each other in a circle: %', filled::regclass[];
        end if;
        if chosen = 'folders'::regclass::oid then
            -- From the leaves up.
            delete from folders f where f.ctid = any(array(
                select t.ctid from folders t where t.organization_id = ours order by cardinality(t.ancestors) desc limit at_most));
        else
            execute format('delete from %1$s d where d.ctid = any(array(select t.ctid from %1$s t where t.organization_id = $1 limit $2))',
                chosen::regclass) using ours, at_most;
        end if;
        get diagnostics purged = row_count;
        return purged;
    end $$;
revoke execute on function purge_organization(timestamptz, integer) from public;
grant execute on function purge_organization(timestamptz, integer) to tenantry_app;

-- How much an organization may use in a calendar month (UTC); null: what the deployment's configuration says.
alter table organizations add column usage_limit bigint
    constraint organizations_usage_limit_range check (usage_limit between 0 and 9007199254740991);

-- What it has used, a row a month.
create table usage_counters (
    organization_id uuid   not null,
    -- Its first day.
    month           date   not null,
    usage           bigint not null,
    constraint usage_counters_pkey primary key (organization_id, month),
    constraint usage_counters_organization_fkey foreign key (organization_id) references organizations
);
call protect_tenant_table('usage_counters', 'select, insert, update');

-- What an organization is to the mobility management of its enterprise: an id of theirs, opaque to us.
create table enterprise_bindings (
    organization_id uuid        not null,
    id              text        not null,
    name            text        not null,
    data            jsonb       not null,
    version         bigint      not null default 1,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    constraint enterprise_bindings_pkey primary key (organization_id),
    constraint enterprise_bindings_organization_fkey foreign key (organization_id) references organizations,
    constraint enterprise_bindings_id_length check (char_length(id) between 1 and 200),
    constraint enterprise_bindings_name_length check (char_length(name) between 1 and 200)
);
call protect_tenant_table('enterprise_bindings', 'select, insert, update, delete');

-- What people have consented to as analysts, and when: the newest row holds, the others are its history.
create table analyst_consents (
    organization_id uuid        not null,
    id              uuid        not null,
    user_id         uuid        not null,
    consent_given   boolean     not null,
    at              timestamptz not null,
    constraint analyst_consents_pkey primary key (organization_id, id),
    constraint analyst_consents_user_fkey foreign key (organization_id, user_id) references users on delete cascade
);
create index analyst_consents_by_user on analyst_consents (organization_id, user_id, at desc, id desc);
call protect_tenant_table('analyst_consents', 'select, insert');
