-- Which migrations this database has, for the application's role, which may not see sqlx's own table. A release that needs
-- a later one says so: in `/readyz` and in `check`. In PL/pgSQL, for sqlx makes its table before any of ours, but psql not
-- at all.
create function schema_versions() returns bigint[]
    language plpgsql stable security definer set search_path = pg_catalog, public
    as $$
begin
    return array(select m.version from public._sqlx_migrations m where m.success order by m.version);
end $$;
revoke execute on function schema_versions() from public;
grant execute on function schema_versions() to tenantry_app;
