-- What is done most often and is one statement long, without a unit of work around it, which costs a round trip to begin and one to
-- commit. These functions name the organization for the statement that calls them; row-level security holds in them as everywhere.
-- Arguments are named in full, for a column that is called like one would take its place.

-- Who calls with a credential. Sessions and tokens in statements of their own, though they end alike: to make a plan ready costs
-- more than to run it, and most who call have a session.
create function caller_of(tenant uuid, digest bytea, at timestamptz)
    returns table (credential_id uuid, user_id uuid, email text, is_superuser boolean, scope text[], last_used_at timestamptz,
        must_enroll boolean, slug text)
    language plpgsql stable rows 1
    as $$
    #variable_conflict use_column
    declare
        today date := (caller_of.at at time zone 'utc')::date;
    begin
        perform set_config('tenantry.organization_id', caller_of.tenant::text, true);
        return query
        select s.id, u.id, u.email, u.is_superuser, null::text[], s.last_seen_at,
               o.mfa_required and s.saml_connection_id is null and not exists (select from totp_secrets t
                   where t.organization_id = caller_of.tenant and t.user_id = u.id and t.confirmed_at is not null),
               o.slug
        from sessions s
        join users u on u.organization_id = caller_of.tenant and u.id = s.user_id
        join organizations o on o.organization_id = caller_of.tenant
        where s.organization_id = caller_of.tenant and s.token_digest = caller_of.digest and s.expires_at > caller_of.at
          and u.is_active and (u.expiry_date is null or u.expiry_date >= today) and o.deleted_at is null;
        if found then return; end if;
        return query
        select t.id, u.id, u.email, u.is_superuser, t.permissions, t.last_used_at,
               -- Whoever signs in through an identity provider shows there as much as it demands.
               o.mfa_required
                   and not exists (select from saml_identities i
                       join saml_connections m on m.organization_id = caller_of.tenant and m.id = i.connection_id
                       where i.organization_id = caller_of.tenant and i.user_id = u.id and m.is_active)
                   and not exists (select from totp_secrets f
                       where f.organization_id = caller_of.tenant and f.user_id = u.id and f.confirmed_at is not null),
               o.slug
        from personal_access_tokens t
        join users u on u.organization_id = caller_of.tenant and u.id = t.user_id
        join organizations o on o.organization_id = caller_of.tenant
        where t.organization_id = caller_of.tenant and t.token_digest = caller_of.digest and t.expires_at > caller_of.at
          and u.is_active and (u.expiry_date is null or u.expiry_date >= today) and o.deleted_at is null;
    end $$;
grant execute on function caller_of(uuid, bytea, timestamptz) to tenantry_app;

-- Takes a job that waits, if it is one of `known`; one that is not is told, and left for a newer release. Whoever takes it does not
-- wait for the disk. To be asked twice with the same `fence` is to be asked once.
create function take_job(tenant uuid, subject uuid, known text[], fence uuid, at timestamptz, lease interval)
    returns table (job text, lane smallint, takes integer)
    language plpgsql rows 1
    as $$
    #variable_conflict use_column
    begin
        perform set_config('tenantry.organization_id', take_job.tenant::text, true), set_config('synchronous_commit', 'off', true);
        return query
        update outbox o set claim = take_job.fence, claimed_until = take_job.at + take_job.lease, due_at = take_job.at + take_job.lease,
            takes = o.takes + 1
        where o.organization_id = take_job.tenant and o.id = take_job.subject and o.job = any(take_job.known) and o.parked_at is null
          and o.pushed_at is not null
          and (o.claimed_until is null or o.claimed_until <= take_job.at or o.claim = take_job.fence)
        returning o.job, o.lane, o.takes;
        if found then return; end if;
        return query
        select o.job, o.lane, o.takes from outbox o
        where o.organization_id = take_job.tenant and o.id = take_job.subject and o.job <> all(take_job.known) and o.parked_at is null;
    end $$;
grant execute on function take_job(uuid, uuid, text[], uuid, timestamptz, interval) to tenantry_app;

-- A mail is out, whoever has its job now. The mail first, then its job: the order in which everyone locks them.
create function note_sent(tenant uuid, mail uuid, at timestamptz)
    returns void
    language plpgsql
    as $$
    begin
        perform set_config('tenantry.organization_id', note_sent.tenant::text, true);
        update email_messages
        -- Where a report was faster than this record, what it says came later.
        set status = case when status in ('bounced', 'complained') then status else 'sent' end,
            last_error = case when status in ('bounced', 'complained') then last_error end,
            attempts = attempts + 1, sent_at = note_sent.at, version = version + 1
        where organization_id = note_sent.tenant and id = note_sent.mail;
        delete from outbox where organization_id = note_sent.tenant and id = note_sent.mail;
    end $$;
grant execute on function note_sent(uuid, uuid, timestamptz) to tenantry_app;
