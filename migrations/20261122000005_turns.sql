-- The trace of the request that asked for the work (W3C Trace Context), so that one trace leads from it to the mail.
alter table outbox add column trace_parent text;

-- The row of a job bears the id of what it is about: one key instead of two. With two that begin alike, Postgres looks
-- rows up by the wrong one, whenever a backlog has come since it last counted them. No release has been made before this
-- one, so none has to run beside it.
alter table outbox no force row level security;
update outbox set id = subject_id where id <> subject_id;
alter table outbox force row level security;
alter table outbox drop constraint outbox_one_per_subject, drop column subject_id;

-- The table is small when this runs: what waits is a backlog of minutes.
drop index outbox_due;
drop index outbox_pushed;
create index outbox_turns on outbox (lane, organization_id, due_at) where parked_at is null;
create index outbox_pushed on outbox (lane, organization_id) where pushed_at is not null and parked_at is null;

-- Claims what is due for pushing in a lane, at most `places` jobs, and marks it pushed. Organizations take turns: the
-- first waiting job of each goes before the second of any, and what an organization has in Redis already counts.
-- `epoch` names the present life of Redis: what was pushed into an earlier one, and taken by nobody, is due at once.
drop function claim_outbox(smallint, timestamptz, uuid, integer, interval);
create function claim_outbox(wanted smallint, at timestamptz, epoch uuid, places integer, redeliver interval)
    returns table (organization_id uuid, id uuid, trace_parent text)
    language plpgsql volatile security definer set search_path = pg_catalog, public
    -- What the planner knows of this table is old as soon as a backlog arrives; compiling would take longer than running.
    set enable_seqscan = off set jit = off
    as $$
    #variable_conflict use_column
    declare
        chosen record;
    begin
        for chosen in
            select o.organization_id, o.id from public.outbox o
            where o.lane = wanted and o.pushed_at is not null and o.parked_at is null and o.claim is null
              and o.pushed_epoch <> epoch
            for update skip locked
        loop
            update public.outbox o set pushed_at = null, pushed_epoch = null, due_at = least(o.due_at, at)
            where o.organization_id = chosen.organization_id and o.id = chosen.id;
        end loop;

        -- Row by row: a join with the table would be planned for the few rows it had when it was last looked at.
        for chosen in
            with recursive present as (
                -- One look into the index for each organization, however many jobs it has.
                (select o.organization_id from public.outbox o
                 where o.lane = wanted and o.parked_at is null order by o.organization_id limit 1)
                union all
                select (select o.organization_id from public.outbox o
                        where o.lane = wanted and o.parked_at is null and o.organization_id > p.organization_id
                        order by o.organization_id limit 1)
                from present p where p.organization_id is not null
            ), ready as (
                select p.organization_id,
                       (select count(*) from public.outbox o
                        where o.lane = wanted and o.organization_id = p.organization_id and o.pushed_at is not null
                          and o.parked_at is null and o.claim is null and o.due_at > at) as in_redis
                from present p
                where (select o.due_at from public.outbox o
                       where o.lane = wanted and o.organization_id = p.organization_id and o.parked_at is null
                       order by o.due_at limit 1) <= at
            ), due as (
                select r.organization_id, o.id, o.due_at,
                       r.in_redis + row_number() over (partition by r.organization_id order by o.due_at, o.id) as turn
                from ready r
                cross join lateral (
                    select o.id, o.due_at from public.outbox o
                    where o.lane = wanted and o.organization_id = r.organization_id and o.parked_at is null
                      and o.due_at <= at
                      -- While we were away, leases could not be renewed: give who holds one time to say so.
                      and (o.claim is null or pg_postmaster_start_time() < clock_timestamp() - interval '15 seconds')
                    order by o.due_at
                    limit (select ceil(2.0 * places / count(*)) from ready)
                ) o
            )
            select d.organization_id, d.id from due d order by d.turn, d.due_at limit places
        loop
            -- Another relay may have been faster, or is just now.
            select o.organization_id, o.id, o.trace_parent into organization_id, id, trace_parent
            from public.outbox o
            where o.organization_id = chosen.organization_id and o.id = chosen.id and o.parked_at is null and o.due_at <= at
            for update skip locked;
            if found then
                update public.outbox o set pushed_at = at, pushed_epoch = epoch, due_at = at + redeliver
                where o.organization_id = chosen.organization_id and o.id = chosen.id;
                return next;
            end if;
        end loop;
    end $$;

grant create on schema public to tenantry_across;
alter function claim_outbox(smallint, timestamptz, uuid, integer, interval) owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function claim_outbox(smallint, timestamptz, uuid, integer, interval) from public;
grant execute on function claim_outbox(smallint, timestamptz, uuid, integer, interval) to tenantry_app;
