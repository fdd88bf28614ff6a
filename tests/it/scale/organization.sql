-- An organization filled up: {folders} folders below its root in two halves; and in them groups, users, and
-- assignments. Without triggers, which ask row by row; so what they keep is written here.
set session_replication_role = replica;
create temporary table o as
    select o.organization_id as id, f.id as root from organizations o
    join folders f on f.organization_id = o.organization_id and f.parent_folder_id is null
    where o.slug = '{slug}';
create function pg_temp.made(kind int, n bigint) returns uuid language sql immutable
    as $$ select (lpad(to_hex(kind), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;

insert into folders (organization_id, id, parent_folder_id, name, created_at)
select o.id, pg_temp.made(1, n), case when n <= 2 then o.root else pg_temp.made(1, (n - 3) / 10 + 1) end, md5('f' || n), now() - n * interval '1 minute'
from o, generate_series(1, {folders}) n;
with recursive way as (
    select root as id, array[root] as ancestors from o
    union all
    select f.id, w.ancestors || f.id from way w, o, folders f where f.organization_id = o.id and f.parent_folder_id = w.id
)
update folders f set ancestors = w.ancestors from way w, o where f.organization_id = o.id and f.id = w.id;
insert into folder_descendants
select f.organization_id, unnest(f.ancestors), f.id from folders f, o where f.organization_id = o.id on conflict do nothing;

insert into users (organization_id, id, number, username, email, username_key, email_key, first_name, last_name, date_joined, updated_at)
select o.id, pg_temp.made(2, n), 1000000 + n, m, m || '@example.com', m, m || '@example.com', m, 'Smith', now() - n * interval '1 minute', now()
from o, generate_series(1, {users}) n, lateral (select md5('u' || n) as m) m;

insert into roles (organization_id, id, folder_id, name, permissions, created_at)
select o.id, pg_temp.made(3, n), pg_temp.made(1, n % {folders} + 1), md5('r' || n), '{view_user,view_folder}', now() from o, generate_series(1, {groups} * 5) n;

insert into user_groups (organization_id, id, folder_id, name, created_at)
select o.id, pg_temp.made(4, n), pg_temp.made(1, n * 7 % {folders} + 1), md5('g' || n), now() from o, generate_series(1, {groups}) n;
insert into user_group_members
select o.id, pg_temp.made(4, n % {groups} + 1), pg_temp.made(2, n) from o, generate_series(1, {users}) n;

insert into teams (organization_id, id, folder_id, name, leader_id, created_at, updated_at)
select o.id, pg_temp.made(5, n), pg_temp.made(1, n * 7 % {folders} + 1), md5('t' || n), pg_temp.made(2, n), now(), now() from o, generate_series(1, {groups}) n;
insert into team_people
select o.id, pg_temp.made(5, n % {groups} + 1), 'member', pg_temp.made(2, n) from o, generate_series(1, {users}, 3) n;

-- Nine of ten are held by a user, the others by a group.
insert into role_assignments (organization_id, id, folder_id, name, user_id, user_group_id, role_id, created_at)
select o.id, pg_temp.made(6, n), pg_temp.made(1, n % {folders} + 1), md5('a' || n),
    case when n % 10 > 0 then pg_temp.made(2, n % {users} + 1) end, case when n % 10 = 0 then pg_temp.made(4, n / 10 % {groups} + 1) end,
    pg_temp.made(3, n % ({groups} * 5) + 1), now()
from o, generate_series(1, {users}) n;
insert into role_assignment_folders
select o.id, pg_temp.made(6, n), pg_temp.made(1, n % {folders} + 1) from o, generate_series(1, {users}) n
union
select o.id, pg_temp.made(6, n), pg_temp.made(1, n * 3 % {folders} + 1) from o, generate_series(1, {users}, 5) n;

insert into invitations (organization_id, id, invitee_identifier, email_key, folder_id, invited_by, locale, created_at, sent_at, valid_for, valid_until)
select o.id, pg_temp.made(7, n), 'i' || n || '@example.com', 'i' || n || '@example.com', pg_temp.made(1, n % {folders} + 1),
    pg_temp.made(2, n), 'en', now() - n * interval '1 second', now(), 86400, now() + interval '1 day'
from o, generate_series(1, {users}, 10) n;
-- A mail to each invitee, and to each user.
insert into email_messages (organization_id, id, kind, to_address, locale, invitation_id, generation, status, created_at, give_up_at)
select organization_id, id, 'invitation', invitee_identifier, 'en', id, generation, 'sent', created_at, now()
from invitations where organization_id = (select id from o);
insert into email_messages (organization_id, id, kind, to_address, locale, user_id, status, created_at, give_up_at)
select o.id, pg_temp.made(10, n), 'password_reset', 'u' || n || '@example.com', 'en', pg_temp.made(2, n), 'sent', now() - n * interval '1 second', now()
from o, generate_series(1, {users}) n;
insert into email_suppressions (organization_id, id, address, address_key, reason, created_at, created_by)
select o.id, pg_temp.made(11, n), n || '@example.org', n || '@example.org', 'manual', now() - n * interval '1 second', pg_temp.made(2, n)
from o, generate_series(1, {users}, 5) n;
insert into sessions (organization_id, id, user_id, token_digest, created_at, expires_at)
select o.id, pg_temp.made(8, n), pg_temp.made(2, n), sha256((o.id::text || n)::bytea), now(), now() + interval '1 hour'
from o, generate_series(1, {users}, 5) n;
insert into audit_events (organization_id, id, at, action, object_type, object_id)
select o.id, pg_temp.made(9, n), now() - n * interval '1 second', 'user.changed', 'user', pg_temp.made(2, n)
from o, generate_series(1, {users}, 5) n;
drop table o;
drop function pg_temp.made;
reset session_replication_role;
