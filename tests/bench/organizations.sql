-- Organizations beside acme, each with its built-in roles and groups, and people: {people} in all, of whom every {every}th is
-- one of acme's, as they would have come over the years. Without triggers, so what they keep is written here.
set session_replication_role = replica;
create temporary table own as select organization_id as id from organizations where slug = 'acme';
create temporary table others as
    select n, gen_random_uuid() as id, gen_random_uuid() as root from generate_series(1, {others}) n;
create index on others (n);

insert into organizations (organization_id, slug, name, created_at, updated_at)
select id, 'org' || n, 'Organization ' || n, now(), now() from others;
insert into organization_slugs (slug_key, organization_id) select 'org' || n, id from others;
insert into folders (organization_id, id, name, ancestors, created_at) select id, root, 'Global', array[root], now() from others;
insert into folder_descendants (organization_id, ancestor_id, folder_id) select id, root, root from others;

create temporary table born as
    select o.id as organization_id, o.root, r.name, r.permissions, gen_random_uuid() as role_id, gen_random_uuid() as group_id,
        gen_random_uuid() as assignment_id
    from others o cross join own join roles r on r.organization_id = own.id and r.builtin;
insert into roles (organization_id, id, folder_id, name, builtin, is_published, permissions, created_at)
select organization_id, role_id, root, name, true, true, permissions, now() from born;
insert into user_groups (organization_id, id, folder_id, name, builtin_role_id, created_at)
select organization_id, group_id, root, name, role_id, now() from born;
insert into role_assignments (organization_id, id, folder_id, name, user_group_id, role_id, is_recursive, builtin, created_at)
select organization_id, assignment_id, root, name, group_id, role_id, true, true, now() from born;
insert into role_assignment_folders (organization_id, role_assignment_id, folder_id)
select organization_id, assignment_id, root from born;

create temporary table people as
    select coalesce(o.id, own.id) as organization_id, p.n, gen_random_uuid() as id, md5('u' || p.n) as m
    from own cross join generate_series(1, {people}) p(n)
    left join others o on p.n % {every} <> 0 and o.n = p.n % greatest({others}, 1) + 1;
insert into users (organization_id, id, number, username, email, username_key, email_key, first_name, last_name, date_joined, updated_at)
select organization_id, id, 1000000 + n, m, m || '@example.com', m, m || '@example.com', 'Bob', m, now(), now() from people order by n;
insert into user_group_members (organization_id, user_group_id, user_id)
select p.organization_id, g.id, p.id from people p
join user_groups g on g.organization_id = p.organization_id and g.name = 'reader' and g.builtin_role_id is not null;
drop table own, others, born, people;
reset session_replication_role;
