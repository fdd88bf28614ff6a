-- Users are rows of an organization: the same address in two organizations is two users who share nothing.
create table users (
    organization_id     uuid        not null,
    id                  uuid        not null,
    number              integer     not null,
    username            text        not null,
    email               text        not null,
    username_key        text        not null,
    email_key           text        not null,
    first_name          text        not null default '',
    last_name           text        not null default '',
    is_active           boolean     not null default true,
    is_superuser        boolean     not null default false,
    is_local            boolean     not null default true,
    keep_local_login    boolean     not null default false,
    is_third_party      boolean     not null default false,
    is_email_verified   boolean     not null default false,
    observation         text,
    expiry_date         date,
    profile             jsonb       not null default '{}',
    preferences         jsonb       not null default '{}',
    password_hash       text,
    password_changed_at timestamptz,
    date_joined         timestamptz not null,
    last_login          timestamptz,
    version             bigint      not null default 1,
    updated_at          timestamptz not null,
    constraint users_pkey primary key (organization_id, id),
    constraint users_organization_fkey foreign key (organization_id) references organizations,
    constraint users_one_per_email unique (organization_id, email_key),
    constraint users_one_per_username unique (organization_id, username_key),
    constraint users_one_per_number unique (organization_id, number),
    constraint users_email_length check (char_length(email) between 3 and 254),
    constraint users_names_length check (char_length(first_name) <= 150 and char_length(last_name) <= 150)
);
call protect_tenant_table('users', 'select, insert, update, delete');

create table roles (
    organization_id uuid        not null,
    id              uuid        not null,
    name            text        not null,
    builtin         boolean     not null default false,
    permissions     text[]      not null,
    created_at      timestamptz not null,
    constraint roles_pkey primary key (organization_id, id),
    constraint roles_organization_fkey foreign key (organization_id) references organizations,
    constraint roles_one_per_name unique (organization_id, name)
);
call protect_tenant_table('roles', 'select, insert, update, delete');

create table user_groups (
    organization_id uuid        not null,
    id              uuid        not null,
    folder_id       uuid        not null,
    name            text        not null,
    builtin_role_id uuid,
    created_at      timestamptz not null,
    constraint user_groups_pkey primary key (organization_id, id),
    constraint user_groups_folder_fkey foreign key (organization_id, folder_id) references folders,
    constraint user_groups_role_fkey foreign key (organization_id, builtin_role_id) references roles,
    constraint user_groups_one_builtin unique (organization_id, folder_id, builtin_role_id)
);
call protect_tenant_table('user_groups', 'select, insert, update, delete');

create table user_group_members (
    organization_id uuid not null,
    user_group_id   uuid not null,
    user_id         uuid not null,
    constraint user_group_members_pkey primary key (organization_id, user_group_id, user_id),
    constraint user_group_members_group_fkey foreign key (organization_id, user_group_id) references user_groups on delete cascade,
    constraint user_group_members_user_fkey foreign key (organization_id, user_id) references users on delete cascade
);
create index user_group_members_by_user on user_group_members (organization_id, user_id);
call protect_tenant_table('user_group_members', 'select, insert, delete');

-- A user or a group (exactly one) holds a role over the folders below.
create table role_assignments (
    organization_id uuid        not null,
    id              uuid        not null,
    user_id         uuid,
    user_group_id   uuid,
    role_id         uuid        not null,
    is_recursive    boolean     not null default true,
    builtin         boolean     not null default false,
    created_at      timestamptz not null,
    constraint role_assignments_pkey primary key (organization_id, id),
    constraint role_assignments_user_fkey foreign key (organization_id, user_id) references users on delete cascade,
    constraint role_assignments_group_fkey foreign key (organization_id, user_group_id) references user_groups on delete cascade,
    constraint role_assignments_role_fkey foreign key (organization_id, role_id) references roles,
    constraint role_assignments_one_holder check (num_nonnulls(user_id, user_group_id) = 1)
);
create index role_assignments_by_user on role_assignments (organization_id, user_id) where user_id is not null;
create index role_assignments_by_group on role_assignments (organization_id, user_group_id) where user_group_id is not null;
call protect_tenant_table('role_assignments', 'select, insert, update, delete');

create table role_assignment_folders (
    organization_id    uuid not null,
    role_assignment_id uuid not null,
    folder_id          uuid not null,
    constraint role_assignment_folders_pkey primary key (organization_id, role_assignment_id, folder_id),
    constraint role_assignment_folders_assignment_fkey foreign key (organization_id, role_assignment_id)
        references role_assignments on delete cascade,
    constraint role_assignment_folders_folder_fkey foreign key (organization_id, folder_id) references folders
);
call protect_tenant_table('role_assignment_folders', 'select, insert, delete');

-- What a user holds, by folder where granted: the one definition that every permission check reads.
-- Invoker's rights: row-level security holds inside.
create function held_permissions(who uuid)
    returns table (folder_id uuid, role_id uuid, role_name text, permission text)
    language sql stable
    as $$
        select f.folder_id, r.id, r.name, unnest(r.permissions)
        from role_assignments a
        join roles r on r.organization_id = a.organization_id and r.id = a.role_id
        join role_assignment_folders f on f.organization_id = a.organization_id and f.role_assignment_id = a.id
        where a.organization_id = current_organization_id()
          and (a.user_id = who or a.user_group_id in (
              select m.user_group_id from user_group_members m
              where m.organization_id = current_organization_id() and m.user_id = who))
    $$;
grant execute on function held_permissions(uuid) to tenantry_app;

create table sessions (
    organization_id uuid        not null,
    id              uuid        not null,
    user_id         uuid        not null,
    -- SHA-256 of the token; the token itself is stored nowhere.
    token_digest    bytea       not null,
    created_at      timestamptz not null,
    expires_at      timestamptz not null,
    client_address  text,
    user_agent      text,
    client_id       text,
    constraint sessions_pkey primary key (organization_id, id),
    constraint sessions_user_fkey foreign key (organization_id, user_id) references users on delete cascade,
    constraint sessions_one_per_token unique (organization_id, token_digest),
    constraint sessions_token_digest_is_sha256 check (octet_length(token_digest) = 32)
);
create index sessions_by_user on sessions (organization_id, user_id);
call protect_tenant_table('sessions', 'select, insert, update, delete');

-- A reset that was asked for, or the first password of a user made by an administrator. The link's token is made by the
-- worker from these columns and a server key; it is not here.
create table password_resets (
    organization_id uuid        not null,
    id              uuid        not null,
    user_id         uuid        not null,
    created_at      timestamptz not null,
    valid_until     timestamptz not null,
    used_at         timestamptz,
    superseded_at   timestamptz,
    constraint password_resets_pkey primary key (organization_id, id),
    constraint password_resets_user_fkey foreign key (organization_id, user_id) references users on delete cascade
);
create index password_resets_by_user on password_resets (organization_id, user_id);
call protect_tenant_table('password_resets', 'select, insert, update');
