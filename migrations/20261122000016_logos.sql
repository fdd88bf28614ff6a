-- An organization's logo, in our own encoding. What names it stands in `organizations.branding`, for whoever shows the organization
-- reads that anyway; so the bytes are read only when they are asked for.
create table organization_logos (
    organization_id uuid        not null,
    -- What the address of this one ends with: the beginning of its SHA-256.
    version         text        not null,
    -- A PNG.
    content         bytea       not null,
    updated_at      timestamptz not null,
    constraint organization_logos_pkey primary key (organization_id),
    constraint organization_logos_organization_fkey foreign key (organization_id) references organizations,
    constraint organization_logos_content_size check (length(content) between 1 and 1048576)
);
call protect_tenant_table('organization_logos', 'select, insert, update, delete');
