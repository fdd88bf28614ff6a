-- Who asked for a new password, until a worker has looked whether anyone has this address. Written for known and unknown
-- addresses alike, so that the answer takes as long for both.
create table password_reset_requests (
    organization_id uuid        not null,
    id              uuid        not null,
    -- None where the slug was no organization's: then the platform organization keeps the row, and nothing comes of it.
    email_key       text,
    created_at      timestamptz not null,
    client_address  text,
    client_id       text,
    request_id      text,
    constraint password_reset_requests_pkey primary key (organization_id, id),
    constraint password_reset_requests_organization_fkey foreign key (organization_id) references organizations
);
call protect_tenant_table('password_reset_requests', 'select, insert, delete');
