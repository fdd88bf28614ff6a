-- Signing in, in two statements: one before the password is compared, one after it.

-- Whom a stranger asks for by a slug, and who keeps the record of it: the organization of that slug or, where there is none, the
-- platform organization. One look, whatever the slug is.
create function find_addressee(wanted text, platform text, out organization_id uuid, out is_there boolean)
    language plpgsql stable security definer set search_path = pg_catalog, public
    as $$
    begin
        select o.organization_id, s.slug_key = lower(find_addressee.wanted) into organization_id, is_there
        from public.organization_slugs s
        join public.organizations o on o.organization_id = s.organization_id
        where s.slug_key in (lower(find_addressee.wanted), lower(find_addressee.platform)) and o.deleted_at is null
        order by 2 desc limit 1;
    end $$;
grant create on schema public to tenantry_across;
alter function find_addressee owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function find_addressee from public;
grant execute on function find_addressee to tenantry_app;

-- The account that someone wants to sign in to. Of a slug that is nobody's it tells nothing, after as much work. An address wins over a
-- user name that looks like it.
create function account_of(slug text, platform text, name text, at timestamptz, out organization_id uuid, out is_there boolean,
        out user_id uuid, out email text, out password_hash text, out is_active boolean, out is_local boolean,
        out may_use_password boolean, out expiry_date date)
    language plpgsql stable
    as $$
    begin
        select f.organization_id, f.is_there into organization_id, is_there from find_addressee(slug, platform) f;
        if organization_id is null then return; end if;
        perform set_config('tenantry.organization_id', account_of.organization_id::text, true);
        select u.id, u.email, u.password_hash, u.is_active, u.is_local,
               may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, account_of.at), u.expiry_date
        into user_id, email, password_hash, is_active, is_local, may_use_password, expiry_date
        from users u
        join organizations o on o.organization_id = account_of.organization_id
        where u.organization_id = account_of.organization_id and (u.email_key = account_of.name or u.username_key = account_of.name)
          and account_of.is_there
        order by (u.email_key = account_of.name) desc limit 1;
    end $$;

-- Locks someone who may sign in with a password as of now; nobody if he may not, or if `hash` is given and is not that of his password
-- any more.
create function lock_entitled(tenant uuid, who uuid, hash text, at timestamptz, out email text, out must_change_password boolean,
        out password_min_length integer)
    language plpgsql
    as $$
    begin
        select u.email, u.must_change_password, o.password_min_length into email, must_change_password, password_min_length
        from users u
        join organizations o on o.organization_id = lock_entitled.tenant
        where u.organization_id = lock_entitled.tenant and u.id = lock_entitled.who
          and (lock_entitled.hash is null or u.password_hash = lock_entitled.hash) and u.is_active
          and (u.expiry_date is null or u.expiry_date >= (lock_entitled.at at time zone 'utc')::date) and o.deleted_at is null
          and may_use_password(u.is_local, u.keep_local_login, o.sso_required_from, lock_entitled.at)
        for no key update of u;
    end $$;

-- A session begins, and the log says so: none does without. To be asked twice with the same ids is to be asked once. `signs_in` is not
-- said of one that another session gave.
create function begin_session(tenant uuid, session uuid, who uuid, email text, signs_in boolean, digest bytea, at timestamptz,
        ends timestamptz, address text, agent text, client text, request text, event uuid, details jsonb,
        connection uuid default null, name_id text default null, attributes jsonb default null, index text default null)
    returns void
    language plpgsql
    as $$
    begin
        if signs_in then
            update users set last_login = begin_session.at
            where organization_id = begin_session.tenant and id = begin_session.who;
        end if;
        insert into sessions (organization_id, id, user_id, token_digest, created_at, last_seen_at, expires_at, client_address, user_agent,
            client_id, saml_connection_id, saml_name_id, saml_name_id_attributes, saml_session_index)
        values (tenant, session, who, digest, at, at, ends, address, agent, client, connection, name_id, attributes, index)
        on conflict do nothing;
        insert into audit_events (organization_id, id, at, action, object_type, object_id, object_name, actor_id, actor_name, credential,
            client_address, client_id, request_id, details)
        values (tenant, event, at, 'session.created', 'user', who, email, who, email, 'session:' || session, address, client, request,
            details)
        on conflict do nothing;
    end $$;

-- Lets someone in whose password was compared with `hash` and is `length` characters long. If more is demanded, or he may not sign in any
-- more, nothing happens, and it says so.
create function sign_in(tenant uuid, who uuid, hash text, length integer, at timestamptz, ends timestamptz, session uuid, digest bytea,
        address text, agent text, client text, request text, event uuid)
    returns boolean
    language plpgsql
    as $$
    declare
        entitled record;
    begin
        perform set_config('tenantry.organization_id', sign_in.tenant::text, true);
        entitled := lock_entitled(tenant, who, hash, at);
        if entitled.email is null or entitled.must_change_password or entitled.password_min_length > length then
            return false;
        end if;
        -- A statement of its own: it sees what was committed while it waited for the lock.
        if exists (select from totp_secrets t
                where t.organization_id = sign_in.tenant and t.user_id = sign_in.who and t.confirmed_at is not null) then
            return false;
        end if;
        perform begin_session(tenant, session, who, entitled.email, true, digest, at, ends, address, agent, client, request, event, '{}');
        return true;
    end $$;
