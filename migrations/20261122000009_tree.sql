-- Who may do what, over a tree of folders. Until here there was nothing below the root.

-- `ancestors`: the way from the root to a folder, both included: a grant over any of them, held recursively, reaches it. Kept
-- by the triggers below, so that it can't disagree with `parent_folder_id`.
alter table folders
    add column description text,
    add column ancestors   uuid[] not null default '{}',
    add column version     bigint not null default 1,
    add column updated_at  timestamptz not null default now(),
    add column name_key    text        not null generated always as (lower(name)) stored;
alter table folders no force row level security;
with recursive way as (
    select organization_id, id, array[id] as ancestors from folders where parent_folder_id is null
    union all
    select f.organization_id, f.id, w.ancestors || f.id from folders f
    join way w on w.organization_id = f.organization_id and w.id = f.parent_folder_id
)
update folders f set ancestors = w.ancestors, updated_at = f.created_at from way w
where w.organization_id = f.organization_id and w.id = f.id;
alter table folders
    add constraint folders_name_length check (char_length(name) between 1 and 200),
    add constraint folders_description_length check (char_length(description) <= 4000),
    add constraint folders_depth check (cardinality(ancestors) <= 64);
create unique index folders_one_per_name on folders (organization_id, parent_folder_id, name_key);
create index folders_by_name on folders (organization_id, (name_key collate "C"), id);

-- Which folders are below which, each below itself too: the same as `ancestors`, for looking down. Row-level security lets
-- an index be asked by plain comparisons only (operators that are "leakproof"): not by those of arrays, and not by `lower(…)`,
-- which is why names are ordered by a column of their own, `name_key`.
create table folder_descendants (
    organization_id uuid not null,
    ancestor_id     uuid not null,
    folder_id       uuid not null,
    constraint folder_descendants_pkey primary key (organization_id, ancestor_id, folder_id),
    constraint folder_descendants_folder_fkey foreign key (organization_id, folder_id) references folders on delete cascade
);
create index folder_descendants_by_folder on folder_descendants (organization_id, folder_id);
insert into folder_descendants (organization_id, ancestor_id, folder_id)
select organization_id, unnest(ancestors), id from folders;
call protect_tenant_table('folder_descendants', 'select, insert, delete');
alter table folders force row level security;

create function find_ancestors() returns trigger
    language plpgsql as $$
begin
    if new.parent_folder_id is null then
        new.ancestors := array[new.id];
        return new;
    end if;
    select p.ancestors || new.id into new.ancestors from folders p
    where p.organization_id = new.organization_id and p.id = new.parent_folder_id;
    -- A parent that is not there is the foreign key's to refuse.
    new.ancestors := coalesce(new.ancestors, array[new.id]);
    if new.id = any(new.ancestors[:cardinality(new.ancestors) - 1]) then
        raise exception 'a folder can''t be below itself' using errcode = 'check_violation', constraint = 'folders_no_cycle';
    end if;
    return new;
end $$;
create trigger find_ancestors before insert or update of parent_folder_id on folders
    for each row execute function find_ancestors();

create function move_descendants() returns trigger
    language plpgsql as $$
begin
    update folders f set ancestors = new.ancestors || f.ancestors[array_position(f.ancestors, new.id) + 1:]
    from folder_descendants d
    where d.organization_id = new.organization_id and d.ancestor_id = new.id and d.folder_id <> new.id
      and f.organization_id = d.organization_id and f.id = d.folder_id;
    return null;
end $$;
create trigger move_descendants after update of parent_folder_id on folders
    for each row when (old.ancestors is distinct from new.ancestors) execute function move_descendants();

create function keep_descendants() returns trigger
    language plpgsql as $$
begin
    delete from folder_descendants d where d.organization_id = new.organization_id and d.folder_id = new.id;
    insert into folder_descendants (organization_id, ancestor_id, folder_id)
    select new.organization_id, unnest(new.ancestors), new.id;
    return null;
end $$;
create trigger keep_descendants_of_new after insert on folders
    for each row execute function keep_descendants();
create trigger keep_descendants_of_moved after update on folders
    for each row when (old.ancestors is distinct from new.ancestors) execute function keep_descendants();

-- Where an object is that was made by a release that knew of no folders.
create function root_folder_id() returns uuid
    language sql stable
    as $$ select id from folders where organization_id = current_organization_id() and parent_folder_id is null $$;

alter table roles
    add column folder_id    uuid,
    add column description  text,
    add column is_published boolean not null default false,
    add column version      bigint not null default 1,
    add column updated_at   timestamptz not null default now(),
    add column name_key     text        not null generated always as (lower(name)) stored;
alter table role_assignments
    add column folder_id    uuid,
    add column name         text not null default '',
    add column description  text,
    add column is_published boolean not null default false,
    add column version      bigint not null default 1,
    add column updated_at   timestamptz not null default now(),
    add column name_key     text        not null generated always as (lower(name)) stored;
alter table user_groups
    add column description  text,
    add column is_published boolean not null default false,
    add column version      bigint not null default 1,
    add column updated_at   timestamptz not null default now(),
    add column name_key     text        not null generated always as (lower(name)) stored;

alter table roles no force row level security;
alter table role_assignments no force row level security;
alter table user_groups no force row level security;
alter table folders no force row level security;
-- Whoever may look at roles at all needs the built-in ones: they are published.
update roles r set folder_id = f.id, is_published = r.builtin, updated_at = r.created_at
from folders f where f.organization_id = r.organization_id and f.parent_folder_id is null;
update role_assignments a set folder_id = f.id, name = r.name, updated_at = a.created_at
from folders f, roles r
where f.organization_id = a.organization_id and f.parent_folder_id is null
  and r.organization_id = a.organization_id and r.id = a.role_id;
update user_groups set updated_at = created_at;
alter table roles force row level security;
alter table role_assignments force row level security;
alter table user_groups force row level security;
alter table folders force row level security;

alter table roles
    alter column folder_id set default root_folder_id(),
    alter column folder_id set not null,
    add constraint roles_folder_fkey foreign key (organization_id, folder_id) references folders,
    add constraint roles_name_length check (char_length(name) between 1 and 200),
    add constraint roles_description_length check (char_length(description) <= 4000),
    drop constraint roles_one_per_name;
create unique index roles_one_per_name on roles (organization_id, folder_id, name_key);
create index roles_by_name on roles (organization_id, (name_key collate "C"), id);

alter table role_assignments
    alter column folder_id set default root_folder_id(),
    alter column folder_id set not null,
    add constraint role_assignments_folder_fkey foreign key (organization_id, folder_id) references folders,
    add constraint role_assignments_name_length check (char_length(name) <= 200),
    add constraint role_assignments_description_length check (char_length(description) <= 4000);
create index role_assignments_by_folder on role_assignments (organization_id, folder_id);
create index role_assignments_by_role on role_assignments (organization_id, role_id);
create index role_assignments_by_name on role_assignments (organization_id, (name_key collate "C"), id);
create index role_assignment_folders_by_folder on role_assignment_folders (organization_id, folder_id);

alter table user_groups
    add constraint user_groups_name_length check (char_length(name) between 1 and 200),
    add constraint user_groups_description_length check (char_length(description) <= 4000);
create unique index user_groups_one_per_name on user_groups (organization_id, folder_id, name_key);
create index user_groups_by_name on user_groups (organization_id, (name_key collate "C"), id);

create index users_by_email on users (organization_id, (email_key collate "C"), id);
-- What a person calls a user: with `teams_by_name`, the order of actors.
alter table users add column name_key text not null
    generated always as (lower(coalesce(nullif(trim(first_name || ' ' || last_name), ''), email))) stored;
create index users_by_name on users (organization_id, (name_key collate "C"), id);

create table teams (
    organization_id uuid        not null,
    id              uuid        not null,
    folder_id       uuid        not null,
    name            text        not null,
    description     text,
    team_email      text,
    leader_id       uuid,
    version         bigint      not null default 1,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    name_key        text        not null generated always as (lower(name)) stored,
    constraint teams_pkey primary key (organization_id, id),
    constraint teams_folder_fkey foreign key (organization_id, folder_id) references folders,
    constraint teams_leader_fkey foreign key (organization_id, leader_id) references users on delete set null (leader_id),
    constraint teams_name_length check (char_length(name) between 1 and 200),
    constraint teams_description_length check (char_length(description) <= 4000),
    constraint teams_team_email_length check (char_length(team_email) <= 254)
);
create unique index teams_one_per_name on teams (organization_id, folder_id, name_key);
create index teams_by_name on teams (organization_id, (name_key collate "C"), id);
create index teams_by_leader on teams (organization_id, leader_id) where leader_id is not null;
call protect_tenant_table('teams', 'select, insert, update, delete');

-- The deputies and members of teams.
create table team_people (
    organization_id uuid not null,
    team_id         uuid not null,
    part            text not null,
    user_id         uuid not null,
    constraint team_people_pkey primary key (organization_id, team_id, part, user_id),
    constraint team_people_team_fkey foreign key (organization_id, team_id) references teams on delete cascade,
    constraint team_people_user_fkey foreign key (organization_id, user_id) references users on delete cascade,
    constraint team_people_part_known check (part in ('deputy', 'member'))
);
create index team_people_by_user on team_people (organization_id, user_id);
call protect_tenant_table('team_people', 'select, insert, delete');

create table invitation_teams (
    organization_id uuid not null,
    invitation_id   uuid not null,
    team_id         uuid not null,
    constraint invitation_teams_pkey primary key (organization_id, invitation_id, team_id),
    constraint invitation_teams_invitation_fkey foreign key (organization_id, invitation_id) references invitations on delete cascade,
    constraint invitation_teams_team_fkey foreign key (organization_id, team_id) references teams on delete cascade
);
create index invitation_teams_by_team on invitation_teams (organization_id, team_id);
call protect_tenant_table('invitation_teams', 'select, insert, delete');

-- An invitation outlives the folder it led to: it is revoked with it, and remains to be read.
alter table invitations drop constraint invitations_folder_fkey;
create index invitations_by_folder on invitations (organization_id, folder_id) where state = 'open';
create index invitations_by_inviter on invitations (organization_id, invited_by) where invited_by is not null;
create index invitation_user_groups_by_group on invitation_user_groups (organization_id, user_group_id);

-- What a user was granted, directly and through groups, by folder where granted: the one definition of who holds what.
-- Two branches, for an `or` would read every assignment. Invoker's rights: row-level security holds inside.
create function grants_of(who uuid)
    returns table (role_assignment_id uuid, role_id uuid, role_name text, permissions text[], folder_id uuid, is_recursive boolean)
    language sql stable
    as $$
        select a.id, r.id, r.name, r.permissions, f.folder_id, a.is_recursive
        from (
            select organization_id, id, role_id, is_recursive from role_assignments
            where organization_id = current_organization_id() and user_id = who
            union all
            select a.organization_id, a.id, a.role_id, a.is_recursive
            from user_group_members m
            join role_assignments a on a.organization_id = m.organization_id and a.user_group_id = m.user_group_id
            where m.organization_id = current_organization_id() and m.user_id = who
        ) a
        join roles r on r.organization_id = a.organization_id and r.id = a.role_id
        join role_assignment_folders f on f.organization_id = a.organization_id and f.role_assignment_id = a.id
    $$;

create or replace function held_permissions(who uuid)
    returns table (folder_id uuid, role_id uuid, role_name text, permission text)
    language sql stable
    as $$ select folder_id, role_id, role_name, unnest(permissions) from grants_of(who) $$;

-- Whether someone may act at all: whoever was deactivated, or has expired, while his request waited or his job went on, holds
-- nothing any more.
create function may_act(is_active boolean, expiry_date date)
    returns boolean
    language sql stable
    as $$ select is_active and coalesce(expiry_date >= (now() at time zone 'utc')::date, true) $$;

-- The folders of a reach.
create function folders_within(deep uuid[], here uuid[])
    returns setof uuid
    language sql stable
    as $$
        select d.folder_id from folder_descendants d
        where d.organization_id = current_organization_id() and d.ancestor_id = any(deep)
        union all
        select unnest(here)
    $$;

-- Over which folders a user holds each of some permissions: everywhere, from some folders down (`deep`), in some folders
-- alone (`here`). `above` is the way from the root to any of those: what is published there is seen from below. `few`: all
-- folders of the reach, if they are few: then Postgres knows how few, and begins with them, not with what is looked for.
create function reaches_of(who uuid, wanted text[])
    returns table (permission text, everything boolean, deep uuid[], here uuid[], above uuid[], few uuid[])
    language sql stable
    as $$
        with held as materialized (
            select p.permission, g.folder_id, g.is_recursive, f.parent_folder_id is null as is_root, f.ancestors
            from grants_of(who) g
            join folders f on f.organization_id = current_organization_id() and f.id = g.folder_id
            cross join lateral unnest(g.permissions) p(permission)
            where p.permission = any(wanted)
        )
        select r.*, case when not r.everything and (select count(*) from (select from folders_within(r.deep, r.here) limit 201) s) <= 200
            then array(select distinct w from folders_within(r.deep, r.here) w) end
        from (
            select w.permission,
                   u.is_superuser or exists (select from held h where h.permission = w.permission and h.is_recursive and h.is_root),
                   array(select distinct h.folder_id from held h where h.permission = w.permission and h.is_recursive),
                   array(select distinct h.folder_id from held h where h.permission = w.permission and not h.is_recursive),
                   array(select distinct unnest(h.ancestors) from held h where h.permission = w.permission)
            from users u cross join unnest(wanted) w(permission)
            where u.organization_id = current_organization_id() and u.id = who and may_act(u.is_active, u.expiry_date)
        ) r(permission, everything, deep, here, above)
    $$;

-- The people of a reach: members of its groups, and holders of roles in it.
create function people_within(deep uuid[], here uuid[])
    returns setof uuid
    language sql stable
    as $$
        select distinct p.user_id from (
            select m.user_id
            from user_group_members m
            where m.organization_id = current_organization_id() and m.user_group_id in (
                select g.id from user_groups g
                where g.organization_id = current_organization_id() and g.folder_id in (select * from folders_within(deep, here))
                union all
                select a.user_group_id
                from role_assignment_folders p
                join role_assignments a on a.organization_id = p.organization_id and a.id = p.role_assignment_id
                where p.organization_id = current_organization_id() and p.folder_id in (select * from folders_within(deep, here))
                  and a.user_group_id is not null)
            union all
            select a.user_id
            from role_assignment_folders p
            join role_assignments a on a.organization_id = p.organization_id and a.id = p.role_assignment_id
            where p.organization_id = current_organization_id() and p.folder_id in (select * from folders_within(deep, here))
              and a.user_id is not null
        ) p
    $$;

-- What a user is tied to: the folders of his groups, and those he was granted something over. `people_within`, from his side.
create function ties_of(who uuid)
    returns setof uuid
    language sql stable
    as $$
        select g.folder_id
        from user_group_members m
        join user_groups g on g.organization_id = m.organization_id and g.id = m.user_group_id
        where m.organization_id = current_organization_id() and m.user_id = who
        union all
        select folder_id from grants_of(who)
    $$;

-- Whether some tie of a user is in a reach.
create function is_tied_within(who uuid, deep uuid[], here uuid[])
    returns boolean
    language sql stable
    as $$
        select exists (
            select from ties_of(who) t(folder_id)
            join folders f on f.organization_id = current_organization_id() and f.id = t.folder_id
            where f.ancestors && deep or f.id = any(here))
    $$;

-- Whether he has ties, and all are in a reach: then whoever it is of may change him. Who is tied to nothing is nobody's.
create function are_ties_within(who uuid, deep uuid[], here uuid[])
    returns boolean
    language sql stable
    as $$
        select coalesce(bool_and(f.ancestors && deep or f.id = any(here)), false)
        from ties_of(who) t(folder_id)
        join folders f on f.organization_id = current_organization_id() and f.id = t.folder_id
    $$;

-- Whether a user holds all of some permissions over a folder; `deeply`: and over all below it. `scope` is the limit of his
-- credential, if it has one. A folder that is not there is one where he holds nothing.
create function holds(who uuid, scope text[], permissions text[], folder uuid, deeply boolean)
    returns boolean
    language sql stable
    as $$
        select (scope is null or permissions <@ scope) and exists (
            select from users u
            join folders f on f.organization_id = u.organization_id and f.id = folder
            where u.organization_id = current_organization_id() and u.id = who and may_act(u.is_active, u.expiry_date)
              and (u.is_superuser or permissions <@ array(
                  select unnest(g.permissions) from grants_of(who) g
                  where g.folder_id = any(f.ancestors) and (g.is_recursive or g.folder_id = f.id and not deeply))))
    $$;

-- Who must not be the last: looked for with every change of rights.
create index users_superusers on users (organization_id, id) where is_superuser;
