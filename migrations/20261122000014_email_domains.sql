-- E-mail domains that organizations say are theirs. Several may claim one; what makes it theirs is a proof.
create table email_domains (
    organization_id uuid        not null,
    id              uuid        not null,
    -- In lower case, and in ASCII (punycode): as domains of addresses are compared.
    domain          text        not null,
    -- What a TXT record must say, and nobody else is told. It is no secret: whoever proves the domain publishes it.
    token           text        not null,
    created_at      timestamptz not null,
    -- When a worker last looked the record up, and why it did not find it then.
    checked_at      timestamptz,
    check_error     text,
    version         bigint      not null default 1,
    constraint email_domains_pkey primary key (organization_id, id),
    constraint email_domains_organization_fkey foreign key (organization_id) references organizations,
    constraint email_domains_one_per_domain unique (organization_id, domain)
);
call protect_tenant_table('email_domains', 'select, insert, update, delete');

-- Whose a domain is. Its key is the domain alone, across organizations: so a domain is never two organizations', whoever proves
-- it at the same time. Each sees its own rows.
create table proven_email_domains (
    organization_id uuid        not null,
    domain          text        not null,
    proven_at       timestamptz not null,
    -- 'dns': its record is looked up each day. 'operator': an operator said so, and it stays until the claim is deleted.
    proven_by       text        not null,
    -- Since when the record is not there any more.
    missing_since   timestamptz,
    constraint proven_email_domains_pkey primary key (domain),
    constraint proven_email_domains_claim_fkey foreign key (organization_id, domain)
        references email_domains (organization_id, domain) on delete cascade,
    constraint proven_email_domains_proof_known check (proven_by in ('dns', 'operator'))
);
-- What a deleted claim takes along.
create index proven_email_domains_by_claim on proven_email_domains (organization_id, domain);
call protect_tenant_table('proven_email_domains', 'select, insert, update, delete');

-- How an organization's people are found by their address where no domain is proven: by the mail that lists their
-- organizations ('domain'), or each at once ('account'), which tells strangers that he has an account.
alter table organizations
    add column login_discovery text not null default 'domain',
    add constraint organizations_login_discovery_known check (login_discovery in ('domain', 'account'));

-- Who asked where he can sign in, until a worker has looked whether anyone has this address. Written for known and unknown
-- addresses alike, by the platform organization or, where there is none, by the oldest one.
create table login_url_requests (
    organization_id uuid        not null,
    id              uuid        not null,
    email           text        not null,
    created_at      timestamptz not null,
    client_address  text,
    client_id       text,
    request_id      text,
    constraint login_url_requests_pkey primary key (organization_id, id),
    constraint login_url_requests_organization_fkey foreign key (organization_id) references organizations
);
call protect_tenant_table('login_url_requests', 'select, insert, delete');

-- How many of the lists a user was mailed of late.
create index email_messages_of_login_urls on email_messages (organization_id, user_id, created_at) where kind = 'login_url';

-- Where the people of a proven domain sign in.
call open_across('proven_email_domains', 'select');
create function find_email_domain(wanted text)
    returns table (organization_id uuid, slug text)
    language sql stable security definer set search_path = pg_catalog, public
    as $$
        select o.organization_id, o.slug
        from public.proven_email_domains p
        join public.organizations o on o.organization_id = p.organization_id
        where p.domain = wanted and o.deleted_at is null
    $$;

-- The accounts of an address that can be signed in to, in the order in which they were made; those whose organization may not
-- mail the address come last. `mailbox` is the address as suppressions have it.
create index users_by_email_key on users (email_key, organization_id);
call open_across('users', 'select (organization_id, id, email_key, is_active, expiry_date)');
call open_across('email_suppressions', 'select (organization_id, address_key)');
create function accounts_of_address(wanted text, mailbox text, on_day date)
    returns table (organization_id uuid, user_id uuid, slug text, name text, login_discovery text)
    language sql stable security definer set search_path = pg_catalog, public
    as $$
        select o.organization_id, u.id, o.slug, o.name, o.login_discovery
        from public.users u
        join public.organizations o on o.organization_id = u.organization_id
        where u.email_key = wanted and u.is_active and coalesce(u.expiry_date >= on_day, true) and o.deleted_at is null
        order by exists (select from public.email_suppressions s
                where s.organization_id = u.organization_id and s.address_key = mailbox), u.id
    $$;

grant create on schema public to tenantry_across;
alter function find_email_domain(text) owner to tenantry_across;
alter function accounts_of_address(text, text, date) owner to tenantry_across;
revoke create on schema public from tenantry_across;
revoke execute on function find_email_domain(text), accounts_of_address(text, text, date) from public;
grant execute on function find_email_domain(text), accounts_of_address(text, text, date) to tenantry_app;
