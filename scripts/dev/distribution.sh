# shellcheck shell=bash
# `./dev distribution`: does every table, key, constraint and statement keep to distribution by organization_id?

# Tests in which lists, what recurs and each function that looks across organizations is used. Over tables in parts, with every plan
# written down, a test takes some seconds; statements of .sqlx are looked at in any case.
EVERYTHING="users:: user_groups teams roles role_assignments organizations:: organization_ends sessions:: passwords login_url \
  email_domains emails:: secret_keys parked schedules usage:: audit_events cascade saml_connections"

distribution() { # [FILTER…]
  # shellcheck disable=SC2086 # a word a filter
  [ $# -gt 0 ] || set -- $EVERYTHING
  use_throwaway_state
  need rust cc xmlsec curl postgres redis node browser ps python
  install_missing
  # Plans go to a file of their own, as JSON; statements that functions execute are among them.
  POSTGRES_OPTIONS="-c shared_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 -c auto_explain.log_format=json \
    -c auto_explain.log_nested_statements=on -c auto_explain.log_analyze=on -c auto_explain.log_timing=off \
    -c logging_collector=on -c log_destination=jsonlog -c log_directory=../plans -c log_rotation_size=0 -c max_locks_per_transaction=512"
  start_postgres
  start_redis
  install_mailbox
  choose_application_ports
  build
  migrate
  make_twin
  test_environment
  # Left out: what looks at the catalogue, which has parts here; and the purge, which finds rows by ctid and so takes others' along
  # (docs/scaling.md says what is to change).
  local status=0
  TEST_SCHEMA=$STATE/twin.sql in_group cargo test --workspace --locked --test it -- "$@" \
    --skip isolation::walls --skip isolation::distribution --skip is_purged_to_the_last_row || status=$?
  as_superuser "$(find_python)" scripts/distribution/statements.py "$POSTGRES_BIN/psql" "${POSTGRES_DATA%/data}/plans" .sqlx ||
    status=$?
  return "$status"
}

# The database `twin`, and the file twin.sql that the tests make theirs of.
make_twin() {
  say "Cutting its tables into parts"
  as_superuser "$POSTGRES_BIN/pg_dump" --inserts tenantry | "$(find_python)" scripts/distribution/twin.py >"$STATE/twin.sql"
  sql -c 'create database twin'
  as_superuser "$POSTGRES_BIN/psql" -X -q -v ON_ERROR_STOP=1 -d twin -f "$STATE/twin.sql" >"$LOCAL/log/twin.log" 2>&1 || {
    show_tail "$LOCAL/log/twin.log"
    die "Postgres refuses to cut the tables into parts by organization_id"
  }
}

as_superuser() { # COMMAND…
  PGPASSWORD=$(secret POSTGRES_PASSWORD) PGHOST=127.0.0.1 PGPORT=$(saved_port postgres) PGUSER=tenantry "$@"
}
