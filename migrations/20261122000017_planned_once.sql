-- Functions that nearly every request asks, planned once in a connection and not at each call.
--
-- A function in SQL is put into the statement that calls it, or, if it can't be, planned again each time it is called; and a
-- prepared statement whose arguments Postgres can use to estimate is planned again each time, too. These read a few rows by their
-- keys, whatever is asked: to plan them took ten times as long as to run them. In PL/pgSQL a statement is prepared, and
-- `force_generic_plan` says that its plan is for all arguments.

create or replace function find_organization(wanted text)
    returns table (organization_id uuid, slug text, name text)
    language plpgsql stable security definer set search_path = pg_catalog, public set plan_cache_mode = force_generic_plan
    as $$
    #variable_conflict use_column
    begin
        return query
        select o.organization_id, o.slug, o.name
        from public.organization_slugs s
        join public.organizations o on o.organization_id = s.organization_id
        where s.slug_key = lower(wanted) and o.deleted_at is null;
    end $$;

create or replace function root_folder_id() returns uuid
    language plpgsql stable set plan_cache_mode = force_generic_plan
    as $$
    begin
        return (select id from folders where organization_id = current_organization_id() and parent_folder_id is null);
    end $$;

create or replace function reaches_of(who uuid, wanted text[])
    returns table (permission text, everything boolean, deep uuid[], here uuid[], above uuid[], few uuid[])
    language plpgsql stable set plan_cache_mode = force_generic_plan
    as $$
    #variable_conflict use_column
    begin
        return query
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
        ) r(permission, everything, deep, here, above);
    end $$;

create or replace function is_tied_within(who uuid, deep uuid[], here uuid[])
    returns boolean
    language plpgsql stable set plan_cache_mode = force_generic_plan
    as $$
    begin
        return exists (
            select from ties_of(who) t(folder_id)
            join folders f on f.organization_id = current_organization_id() and f.id = t.folder_id
            where f.ancestors && deep or f.id = any(here));
    end $$;

create or replace function are_ties_within(who uuid, deep uuid[], here uuid[])
    returns boolean
    language plpgsql stable set plan_cache_mode = force_generic_plan
    as $$
    begin
        return (
            select coalesce(bool_and(f.ancestors && deep or f.id = any(here)), false)
            from ties_of(who) t(folder_id)
            join folders f on f.organization_id = current_organization_id() and f.id = t.folder_id);
    end $$;

create or replace function holds(who uuid, scope text[], permissions text[], folder uuid, deeply boolean)
    returns boolean
    language plpgsql stable set plan_cache_mode = force_generic_plan
    as $$
    #variable_conflict use_column
    begin
        return (scope is null or permissions <@ scope) and exists (
            select from users u
            join folders f on f.organization_id = u.organization_id and f.id = folder
            where u.organization_id = current_organization_id() and u.id = who and may_act(u.is_active, u.expiry_date)
              and (u.is_superuser or holds.permissions <@ array(
                  select unnest(g.permissions) from grants_of(who) g
                  where g.folder_id = any(f.ancestors) and (g.is_recursive or g.folder_id = f.id and not deeply))));
    end $$;
