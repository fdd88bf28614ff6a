-- What is done most often and is one statement long, without a unit of work around it, which takes three round trips more. These
-- functions name the organization for the statement that calls them; row-level security holds in them as everywhere.

-- Who calls with a credential.
create function caller_of(tenant uuid, digest bytea, at timestamptz)
    returns table (credential_id uuid, user_id uuid, email text, is_superuser boolean, scope text[], last_used_at timestamptz,
        must_enroll boolean, slug text)
    language plpgsql stable rows 1
    as $$
    #variable_conflict use_column
    begin
        perform set_config('tenantry.organization_id', tenant::text, true);
        return query
        select s.id, u.id, u.email, u.is_superuser, null::text[], s.last_seen_at,
               o.mfa_required and s.saml_connection_id is null and not exists (select from totp_secrets t
                   where t.organization_id = tenant and t.user_id = u.id and t.confirmed_at is not null),
               o.slug
        from sessions s
        join users u on u.organization_id = tenant and u.id = s.user_id
        join organizations o on o.organization_id = tenant
        where s.organization_id = tenant and s.token_digest = digest and s.expires_at > at
          and u.is_active and (u.expiry_date is null or u.expiry_date >= (at at time zone 'utc')::date) and o.deleted_at is null;
        if found then return; end if;
        return query
        select t.id, u.id, u.email, u.is_superuser, t.permissions, t.last_used_at,
               -- Whoever signs in through an identity provider shows there as much as it demands.
               o.mfa_required
                   and not exists (select from saml_identities i
                       join saml_connections m on m.organization_id = tenant and m.id = i.connection_id
                       where i.organization_id = tenant and i.user_id = u.id and m.is_active)
                   and not exists (select from totp_secrets f
                       where f.organization_id = tenant and f.user_id = u.id and f.confirmed_at is not null),
               o.slug
        from personal_access_tokens t
        join users u on u.organization_id = tenant and u.id = t.user_id
        join organizations o on o.organization_id = tenant
        where t.organization_id = tenant and t.token_digest = digest and t.expires_at > at
          and u.is_active and (u.expiry_date is null or u.expiry_date >= (at at time zone 'utc')::date) and o.deleted_at is null;
    end $$;
grant execute on function caller_of(uuid, bytea, timestamptz) to tenantry_app;

-- Takes a job that waits, and is one of `known`. Whoever takes it does not wait for the disk.
create function take_job(tenant uuid, subject uuid, known text[], fence uuid, at timestamptz, lease interval)
    returns table (job text, lane smallint, takes integer)
    language plpgsql rows 1
    as $$
    #variable_conflict use_column
    begin
        perform set_config('tenantry.organization_id', tenant::text, true), set_config('synchronous_commit', 'off', true);
        return query
        update outbox o set claim = fence, claimed_until = at + lease, due_at = at + lease, takes = o.takes + 1
        where o.organization_id = tenant and o.id = subject and o.job = any(known) and o.parked_at is null
          and o.pushed_at is not null and (o.claimed_until is null or o.claimed_until <= at)
        returning o.job, o.lane, o.takes;
    end $$;
grant execute on function take_job(uuid, uuid, text[], uuid, timestamptz, interval) to tenantry_app;

-- A mail is out, whoever has its job now. The mail first, then its job: the order in which everyone locks them.
create function note_sent(tenant uuid, mail uuid, at timestamptz)
    returns void
    language plpgsql
    as $$
    begin
        perform set_config('tenantry.organization_id', tenant::text, true);
        update email_messages
        -- Where a report was faster than this record, what it says came later.
        set status = case when status in ('bounced', 'complained') then status else 'sent' end,
            last_error = case when status in ('bounced', 'complained') then last_error end,
            attempts = attempts + 1, sent_at = at, version = version + 1
        where organization_id = tenant and id = mail;
        delete from outbox where organization_id = tenant and id = mail;
    end $$;
grant execute on function note_sent(uuid, uuid, timestamptz) to tenantry_app;
