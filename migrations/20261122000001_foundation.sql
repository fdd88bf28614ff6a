-- Roles. The owner of the database runs this file. `tenantry_app` is what API and worker may do; `tenantry_across` owns
-- the few functions that must look across organizations. Both are cluster-wide, hence the exceptions.
do $$
begin
    create role tenantry_app nologin;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
    create role tenantry_across nologin;
exception when duplicate_object or unique_violation then null;
end $$;
do $$
begin
    execute format('grant tenantry_across to %I', current_user);
exception when unique_violation then null;
end $$;
-- Before Postgres 15 everyone could make tables here.
revoke create on schema public from public;
grant usage on schema public to tenantry_app, tenantry_across;

-- The organization of this transaction; null where none was set, and then tenant tables show no rows.
create function current_organization_id() returns uuid
    language sql stable parallel safe
    as $$ select nullif(current_setting('tenantry.organization_id', true), '')::uuid $$;

-- Forces row-level security on a tenant table and grants `privileges` to the application.
create procedure protect_tenant_table(relation regclass, privileges text)
    language plpgsql as $$
begin
    execute format('alter table %s enable row level security', relation);
    execute format('alter table %s force row level security', relation);
    execute format(
        'create policy tenant on %s using (organization_id = current_organization_id())'
        ' with check (organization_id = current_organization_id())', relation);
    execute format('grant %s on %s to tenantry_app', privileges, relation);
end $$;

-- Lets `tenantry_across` read (and, for the queue, update) a table whatever the tenant. Only for named functions.
create procedure open_across(relation regclass, privileges text)
    language plpgsql as $$
begin
    execute format('create policy across on %s to tenantry_across using (true) with check (true)', relation);
    execute format('grant %s on %s to tenantry_across', privileges, relation);
end $$;

create table organizations (
    organization_id     uuid        not null,
    slug                text        not null,
    name                text        not null,
    locale              text        not null default 'en',
    invitation_validity integer     not null default 604800,
    password_min_length integer     not null default 15,
    branding            jsonb       not null default '{}',
    next_user_number    integer     not null default 1,
    version             bigint      not null default 1,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    deleted_at          timestamptz,
    constraint organizations_pkey primary key (organization_id),
    constraint organizations_slug_form check (slug ~ '^[-a-zA-Z0-9_]{1,200}$'),
    constraint organizations_name_length check (char_length(name) between 1 and 200),
    constraint organizations_invitation_validity_range check (invitation_validity between 3600 and 7776000),
    constraint organizations_password_min_length_range check (password_min_length between 8 and 128)
);
alter table organizations enable row level security;
alter table organizations force row level security;
-- Operators see the directory of organizations; nothing below it. `tenantry.platform` is set by one function, for a
-- proven operator.
create policy tenant on organizations
    using (organization_id = current_organization_id() or current_setting('tenantry.platform', true) = 'on')
    with check (organization_id = current_organization_id() or current_setting('tenantry.platform', true) = 'on');
grant select, insert, update on organizations to tenantry_app;
call open_across('organizations', 'select');

-- Every slug that was ever given out, in lower case. Rows outlive their organization: a slug is never given out again.
create table organization_slugs (
    slug_key        text not null,
    organization_id uuid not null,
    constraint organization_slugs_pkey primary key (slug_key)
);
grant insert on organization_slugs to tenantry_app;
grant select on organization_slugs to tenantry_across;

-- Where a slug leads: for a sign-in, which has no credential yet that would name the organization.
create function find_organization(wanted text)
    returns table (organization_id uuid, slug text, name text)
    language sql stable security definer set search_path = pg_catalog, public
    as $$
        select o.organization_id, o.slug, o.name
        from public.organization_slugs s
        join public.organizations o on o.organization_id = s.organization_id
        where s.slug_key = lower(wanted) and o.deleted_at is null
    $$;

create table folders (
    organization_id  uuid        not null,
    id               uuid        not null,
    parent_folder_id uuid,
    name             text        not null,
    created_at       timestamptz not null,
    constraint folders_pkey primary key (organization_id, id),
    constraint folders_organization_fkey foreign key (organization_id) references organizations,
    constraint folders_parent_fkey foreign key (organization_id, parent_folder_id) references folders
);
create unique index folders_one_root on folders (organization_id) where parent_folder_id is null;
call protect_tenant_table('folders', 'select, insert, update, delete');

grant create on schema public to tenantry_across;
alter function find_organization(text) owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function find_organization(text) from public;
grant execute on function find_organization(text) to tenantry_app;
