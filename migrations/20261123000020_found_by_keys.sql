-- What an organization has many of is found by the keys that refer to it: else whoever deletes one user, or sees the mails of one
-- folder, reads all of it.

create index email_messages_by_invitation on email_messages (organization_id, invitation_id) where invitation_id is not null;
create index email_messages_by_user on email_messages (organization_id, user_id) where user_id is not null;
create index email_suppressions_by_creator on email_suppressions (organization_id, created_by) where created_by is not null;
create index jobs_by_creator on jobs (organization_id, created_by) where created_by is not null;
create index saml_requests_by_user on saml_requests (organization_id, user_id) where user_id is not null;
create index saml_requests_by_invitation on saml_requests (organization_id, invitation_id) where invitation_id is not null;
create index saml_tests_by_user on saml_tests (organization_id, user_id);
create index user_groups_by_builtin_role on user_groups (organization_id, builtin_role_id) where builtin_role_id is not null;
create index invitations_by_role on invitations (organization_id, role_id) where role_id is not null;

-- Looked for by whoever makes a folder, or changes someone who might be the last administrator.
create unique index roles_one_builtin_per_name on roles (organization_id, name) where builtin;

-- Those of all states are listed by folder, not only open ones.
drop index invitations_by_folder;
create index invitations_by_folder on invitations (organization_id, folder_id);

-- The mails of a few folders: to those invited into them, and to their people.
create function emails_within(few uuid[])
    returns setof uuid
    language sql stable
    as $$
        select e.id from invitations i
        join email_messages e on e.organization_id = i.organization_id and e.invitation_id = i.id
        where i.organization_id = current_organization_id() and i.folder_id = any(few) and e.generation > 0
        union all
        select id from email_messages
        where organization_id = current_organization_id() and user_id in (select * from people_within('{}', few))
    $$;

-- As before, but each role is looked up by its id, however many roles there are: nobody has many assignments.
create or replace function grants_of(who uuid)
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
        cross join lateral (
            select id, name, permissions from roles where organization_id = a.organization_id and id = a.role_id offset 0
        ) r
        join role_assignment_folders f on f.organization_id = a.organization_id and f.role_assignment_id = a.id
    $$;
