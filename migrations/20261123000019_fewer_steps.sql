-- What is asked most, asked in fewer steps.

-- As before, but told at once of superusers, who hold everything; and of others, gathered in one pass.
create or replace function reaches_of(who uuid, wanted text[])
    returns table (permission text, everything boolean, deep uuid[], here uuid[], above uuid[], few uuid[])
    language plpgsql stable set plan_cache_mode = force_generic_plan
    as $$
    #variable_conflict use_column
    declare
        superuser boolean;
    begin
        select u.is_superuser into superuser from users u
        where u.organization_id = current_organization_id() and u.id = who and may_act(u.is_active, u.expiry_date);
        if not found then return; end if;
        if superuser then
            return query select w.permission, true, '{}'::uuid[], '{}'::uuid[], '{}'::uuid[], null::uuid[] from unnest(wanted) w(permission);
            return;
        end if;
        for permission, everything, deep, here, above in
            select w.permission, coalesce(bool_or(h.is_recursive and h.is_root), false),
                   coalesce(array_agg(distinct h.folder_id) filter (where h.is_recursive), '{}'),
                   coalesce(array_agg(distinct h.folder_id) filter (where not h.is_recursive), '{}'),
                   coalesce(array_agg(distinct h.above) filter (where h.above is not null), '{}')
            from unnest(wanted) w(permission)
            left join (
                select p.permission, g.folder_id, g.is_recursive, f.parent_folder_id is null as is_root, a.id as above
                from grants_of(who) g
                join folders f on f.organization_id = current_organization_id() and f.id = g.folder_id
                cross join lateral unnest(f.ancestors) a(id)
                cross join lateral unnest(g.permissions) p(permission)
                where p.permission = any(wanted)
            ) h on h.permission = w.permission
            group by w.permission
        loop
            few := null;
            if not everything then
                few := array(select w from folders_within(deep, here) w limit 201);
                if cardinality(few) > 200 then few := null; end if;
            end if;
            return next;
        end loop;
    end $$;

-- A mail as its job finds it, marked as being sent, if `fence` shows that the job is held still. One of a kind that is not `known` is
-- told, and left as it is; the job of one that is done, or gone, ends. Of what a mail is about, as much as its kind says. Of addresses
-- in ASCII it tells whether they get no mail; of others Postgres can't. That the job is held is on the disk with this, before the mail
-- goes out.
create function load_email(tenant uuid, mail uuid, fence uuid, known text[], at timestamptz)
    returns table (kind text, to_address text, is_suppressed boolean, locale text, created_at timestamptz,
        organization_name text, organization_slug text, branding jsonb, organization_is_deleted boolean,
        invitation_id uuid, generation integer, invitation_generation integer, invitation_state text, invitation_valid_until timestamptz,
        invitee text, message text, role text, inviter text, inviter_email text, invitee_name text, wants_no_reminders boolean,
        password_reset_id uuid, reset_valid_until timestamptz, used_at timestamptz, superseded_at timestamptz,
        first_name text, is_active boolean, expiry_date date, password_changed_at timestamptz, may_use_password boolean,
        about_last_error text, key_fingerprint text, key_ends_at timestamptz, connection_name text, certificates bytea[])
    language plpgsql rows 1
    as $$
    #variable_conflict use_column
    declare
        e email_messages;
        i invitations;
        sso_required_from timestamptz;
    begin
        perform set_config('tenantry.organization_id', load_email.tenant::text, true);
        update email_messages m set version = m.version + 1, status = 'sending'
        where m.organization_id = load_email.tenant and m.id = load_email.mail and m.status in ('queued', 'sending', 'deferred')
          and m.kind = any(load_email.known)
          and exists (select from outbox j where j.organization_id = load_email.tenant and j.id = load_email.mail
              and j.claim = load_email.fence)
        returning m.* into e;
        if not found then
            select m.* into e from email_messages m where m.organization_id = load_email.tenant and m.id = load_email.mail for update;
        end if;
        perform from outbox j where j.organization_id = load_email.tenant and j.id = load_email.mail and j.claim = load_email.fence for update;
        if not found then return; end if;
        if e.id is null or e.status not in ('queued', 'sending', 'deferred') then
            delete from outbox j where j.organization_id = load_email.tenant and j.id = load_email.mail;
            return;
        end if;
        -- Revived between the two: the job comes again.
        if e.status <> 'sending' and e.kind = any(load_email.known) then return; end if;
        kind := e.kind; to_address := e.to_address; locale := e.locale; created_at := e.created_at;
        invitation_id := e.invitation_id; generation := e.generation; password_reset_id := e.password_reset_id;
        is_suppressed := exists (select from email_suppressions s where s.organization_id = load_email.tenant
            and s.address_key = lower(e.to_address collate "C") collate "default");
        select o.name, o.slug, o.branding, o.deleted_at is not null, o.sso_required_from
        into organization_name, organization_slug, branding, organization_is_deleted, sso_required_from
        from organizations o where o.organization_id = load_email.tenant;
        if e.invitation_id is not null then
            select * into i from invitations n where n.organization_id = load_email.tenant and n.id = e.invitation_id;
            invitation_generation := i.generation; invitation_state := i.state; invitation_valid_until := i.valid_until;
            invitee := i.invitee_identifier; message := i.message;
            select r.name into role from roles r where r.organization_id = load_email.tenant and r.id = i.role_id;
            select nullif(trim(concat(u.first_name, ' ', u.last_name)), ''), u.email into inviter, inviter_email
            from users u where u.organization_id = load_email.tenant and u.id = i.invited_by;
            if kind = 'invitation_accepted' then
                select nullif(trim(concat(u.first_name, ' ', u.last_name)), '') into invitee_name
                from users u where u.organization_id = load_email.tenant and u.email_key = i.email_key;
            end if;
            if kind = 'invitation_reminder' then
                wants_no_reminders := exists (select from email_opt_outs x where x.organization_id = load_email.tenant
                    and x.email_key = i.email_key and x.covers = 'reminders');
            end if;
        end if;
        if e.password_reset_id is not null then
            select p.valid_until, p.used_at, p.superseded_at into reset_valid_until, used_at, superseded_at
            from password_resets p where p.organization_id = load_email.tenant and p.id = e.password_reset_id;
        end if;
        if e.user_id is not null then
            select u.first_name, u.is_active, u.expiry_date, u.password_changed_at,
                   may_use_password(u.is_local, u.keep_local_login, sso_required_from, load_email.at)
            into first_name, is_active, expiry_date, password_changed_at, may_use_password
            from users u where u.organization_id = load_email.tenant and u.id = e.user_id;
        end if;
        if e.about_email_id is not null then
            -- What a complaint says is not for the inviter.
            select m.last_error into about_last_error from email_messages m
            where m.organization_id = load_email.tenant and m.id = e.about_email_id and m.status <> 'complained';
        end if;
        if e.saml_key_id is not null then
            select k.fingerprint, k.not_after into key_fingerprint, key_ends_at from saml_keys k
            where k.organization_id = load_email.tenant and k.id = e.saml_key_id and k.state <> 'previous';
        end if;
        if e.saml_connection_id is not null then
            select c.name, c.certificates into connection_name, certificates from saml_connections c
            where c.organization_id = load_email.tenant and c.id = e.saml_connection_id and c.is_active;
        end if;
        return next;
    end $$;
grant execute on function load_email(uuid, uuid, uuid, text[], timestamptz) to tenantry_app;

-- An invitation and its mail name each other: it is written down with the name of its mail, and need not be written again.
alter table invitations alter constraint invitations_email_fkey deferrable initially deferred;

-- Who calls, and all that he may know of himself: asked by the product beside us with every request of its own.
create function introduction_of(tenant uuid, digest bytea, at timestamptz)
    returns table (credential_id uuid, user_id uuid, scope text[], last_used_at timestamptz, must_enroll boolean, slug text,
        id uuid, number integer, username text, email text, first_name text, last_name text, is_active boolean, is_superuser boolean,
        is_local boolean, keep_local_login boolean, is_third_party boolean, is_email_verified boolean, expiry_date date,
        observation text, date_joined timestamptz, last_login timestamptz, profile jsonb, preferences jsonb, version bigint,
        has_mfa_enabled boolean, is_sso boolean, user_groups uuid[], roles uuid[],
        organization_name text, root_folder_id uuid, granted json, own_groups json)
    language plpgsql stable rows 1
    as $$
    #variable_conflict use_column
    begin
        select c.credential_id, c.user_id, c.scope, c.last_used_at, c.must_enroll, c.slug
        into credential_id, user_id, scope, last_used_at, must_enroll, slug
        from caller_of(introduction_of.tenant, introduction_of.digest, introduction_of.at) c;
        if not found then return; end if;
        select u.id, u.number, u.username, u.email, u.first_name, u.last_name, u.is_active, u.is_superuser, u.is_local,
               u.keep_local_login, u.is_third_party, u.is_email_verified, u.expiry_date, u.observation, u.date_joined, u.last_login,
               u.profile, u.preferences, u.version
        into id, number, username, email, first_name, last_name, is_active, is_superuser, is_local,
             keep_local_login, is_third_party, is_email_verified, expiry_date, observation, date_joined, last_login,
             profile, preferences, version
        from users u where u.organization_id = introduction_of.tenant and u.id = user_id;
        select o.name, f.id,
               exists (select from totp_secrets t where t.organization_id = introduction_of.tenant and t.user_id = introduction_of.user_id
                   and t.confirmed_at is not null),
               exists (select from saml_identities s where s.organization_id = introduction_of.tenant and s.user_id = introduction_of.user_id)
        into organization_name, root_folder_id, has_mfa_enabled, is_sso
        from organizations o
        join folders f on f.organization_id = introduction_of.tenant and f.parent_folder_id is null
        where o.organization_id = introduction_of.tenant;
        select coalesce(json_agg(json_build_object('role_id', g.role_id, 'role', g.role_name, 'folder', g.folder_id,
            'permissions', g.permissions)), '[]')
        into granted from grants_of(user_id) g;
        select coalesce(json_agg(json_build_array(g.id, g.name) order by g.id), '[]'), coalesce(array_agg(g.id order by g.id), '{}')
        into own_groups, user_groups
        from user_group_members m
        join user_groups g on g.organization_id = introduction_of.tenant and g.id = m.user_group_id
        where m.organization_id = introduction_of.tenant and m.user_id = introduction_of.user_id;
        -- They are told with what they give.
        roles := '{}';
        return next;
    end $$;
grant execute on function introduction_of(uuid, bytea, timestamptz) to tenantry_app;
