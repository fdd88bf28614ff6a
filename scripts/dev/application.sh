# shellcheck shell=bash
# Tenantry itself: build it, give it a database and two organizations, run it, and say what to open.

PLATFORM_SLUG=platform
PLATFORM_ADMIN_EMAIL=operator@example.com
DEMO_ORGANIZATION=acme
DEMO_ADMIN_EMAIL=admin@example.com

# Before anything that takes long, for one that is asked for may be taken.
choose_application_ports() {
  choose_port api api "${TENANTRY_API_PORT:-}" TENANTRY_API_PORT
  API_PORT=$PORT API_URL=http://127.0.0.1:$PORT
  choose_port metrics api "${TENANTRY_METRICS_PORT:-}" TENANTRY_METRICS_PORT
  METRICS_PORT=$PORT
  choose_port worker_metrics worker
  WORKER_METRICS_PORT=$PORT
}

# Always the whole workspace: a part of it alone would be built with other features of its dependencies.
build() { # [--release]
  TARGET=$(cargo metadata --no-deps --offline --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  export SQLX_OFFLINE=true
  run_logged "Building (the first time takes some minutes)" build cargo build --workspace --locked "$@"
}

# The configuration of every Tenantry process; secrets travel in the environment, never on a command line.
application_environment() {
  export DATABASE_APP_URL REDIS_URL SECRET_KEY PUBLIC_URL=$API_URL PLATFORM_SLUG
  export LOG_FORMAT=human NO_COLOR=1 # into a log file
  SECRET_KEY=${SECRET_KEY:-$(secret SECRET_KEY)}
  # Each of these would contradict the variable above.
  unset DATABASE_URL DATABASE_URL_FILE DATABASE_APP_URL_FILE REDIS_URL_FILE SECRET_KEY_FILE SMTP_URL_FILE \
    EMAIL_EVENTS_SECRET_FILE PREVIOUS_SECRET_KEY PREVIOUS_SECRET_KEY_FILE
}

migrate() {
  [ -n "${DATABASE_APP_URL:-}" ] || derive_application_login
  say "Migrating the database"
  local log=$LOCAL/log/migrate.log owner=$DATABASE_URL
  if ! (application_environment && DATABASE_URL=$owner "$TARGET/debug/tenantry-api" migrate) >"$log" 2>&1; then
    show_tail "$log"
    die "the database could not be migrated"
  fi
}

# The caller's DATABASE_URL with a login of our own in place of his. The name holds which checkout it is, for a login
# belongs to the whole server, and another checkout may use another of its databases.
derive_application_login() {
  local rest=${DATABASE_URL#*://} host
  host=${rest%%/*}
  host=${host##*@}
  [ -n "$host" ] || die "set DATABASE_APP_URL too: DATABASE_URL names no host to derive it from"
  DATABASE_APP_URL=${DATABASE_URL%%://*}://tenantry_$(printf '%s' "$ROOT" | cksum | cut -d ' ' -f 1)
  DATABASE_APP_URL=$DATABASE_APP_URL:$(secret POSTGRES_APP_PASSWORD)@$host
  case $rest in */*) DATABASE_APP_URL=$DATABASE_APP_URL/${rest#*/} ;; esac
}

make_organizations() {
  make_organization "$PLATFORM_SLUG" Platform "$PLATFORM_ADMIN_EMAIL" PLATFORM_ADMIN_PASSWORD
  make_organization "$DEMO_ORGANIZATION" Acme "$DEMO_ADMIN_EMAIL" DEMO_ADMIN_PASSWORD
}

make_organization() { # SLUG NAME ADMIN_EMAIL SECRET
  local file=$STATE/admin-password log=$LOCAL/log/organizations.log made_here
  (umask 077 && secret "$4" 20 >"$file")
  if ! (application_environment && "$TARGET/debug/tenantry-api" create-organization --slug "$1" --name "$2" \
    --admin-email "$3" --admin-password-file "$file") >"$log" 2>&1; then
    rm -f "$file"
    show_tail "$log"
    die "the organization $1 could not be made"
  fi
  rm -f "$file"
  # In a database of the caller's, somebody else may have made it.
  made_here="$4 $(printf '%s' "$DATABASE_URL" | cksum)"
  if ! grep -q exists "$log"; then
    printf '%s\n' "$made_here" >>"$STATE/organizations"
  elif [ -n "$DATABASE_IS_THEIRS" ] && ! grep -qsxF "$made_here" "$STATE/organizations"; then
    say "The organization $1 exists already in this database: its administrator's password is not known here."
  fi
}

start_api() {
  local id
  EMAIL_EVENTS_SECRET=${EMAIL_EVENTS_SECRET:-$(secret EMAIL_EVENTS_SECRET)}
  id=$(fingerprint "$API_PORT" "$METRICS_PORT" "$DATABASE_APP_URL" "$REDIS_URL" "${SECRET_KEY:-}" "$EMAIL_EVENTS_SECRET")
  if runs_as api "$id" "$TARGET/debug/tenantry-api"; then return; fi
  say "Starting the API"
  STARTED="$STARTED api"
  (
    application_environment
    export EMAIL_EVENTS_SECRET LISTEN_ADDR=127.0.0.1:$API_PORT METRICS_ADDR=127.0.0.1:$METRICS_PORT
    start api "$id" "$TARGET/debug/tenantry-api" serve
  ) || exit $?
}

start_worker() {
  local id
  id=$(fingerprint "$API_PORT" "$WORKER_METRICS_PORT" "$DATABASE_APP_URL" "$REDIS_URL" "$SMTP_URL" "${SECRET_KEY:-}")
  if runs_as worker "$id" "$TARGET/debug/tenantry-worker"; then return; fi
  say "Starting the worker"
  STARTED="$STARTED worker"
  (
    application_environment
    export SMTP_URL METRICS_ADDR=127.0.0.1:$WORKER_METRICS_PORT MAIL_FROM="${MAIL_FROM:-Tenantry <accounts@example.com>}"
    start worker "$id" "$TARGET/debug/tenantry-worker" run
  ) || exit $?
}

wait_until_ready() {
  local _ name
  for _ in {1..300}; do
    for name in api worker; do
      running "$name" || failed_to_start "$name"
    done
    ! curl -sf -o /dev/null --max-time 2 "$API_URL/readyz" || return 0
    sleep 0.1
  done
  curl -s --max-time 2 "$API_URL/readyz" >&2 || true
  show_tail "$STATE/log/api.log"
  die "the API is not ready after 30 seconds"
}

# What a shell can source; also how the tests' own README run finds everything.
write_env() {
  (umask 077 && env_lines >"$LOCAL/env.new")
  mv -f "$LOCAL/env.new" "$LOCAL/env"
}

env_lines() {
  env_line TENANTRY_URL "$API_URL"
  env_line TENANTRY_METRICS_URL "http://127.0.0.1:$METRICS_PORT/metrics"
  env_line TENANTRY_WORKER_METRICS_URL "http://127.0.0.1:$WORKER_METRICS_PORT/metrics"
  env_line TENANTRY_MAILBOX_URL "${MAILBOX_URL:-}"
  env_line TENANTRY_PLATFORM_SLUG "$PLATFORM_SLUG"
  env_line TENANTRY_PLATFORM_ADMIN_EMAIL "$PLATFORM_ADMIN_EMAIL"
  env_line TENANTRY_PLATFORM_ADMIN_PASSWORD "$(secret PLATFORM_ADMIN_PASSWORD)"
  env_line DEMO_ORGANIZATION "$DEMO_ORGANIZATION"
  env_line DEMO_ADMIN_EMAIL "$DEMO_ADMIN_EMAIL"
  env_line DEMO_ADMIN_PASSWORD "$(secret DEMO_ADMIN_PASSWORD)"
  env_line DATABASE_URL "$DATABASE_URL"
  env_line DATABASE_APP_URL "$DATABASE_APP_URL"
  env_line REDIS_URL "$REDIS_URL"
  env_line SMTP_URL "$SMTP_URL"
  env_line EMAIL_EVENTS_SECRET "$EMAIL_EVENTS_SECRET"
  env_line TENANTRY_API_PID "$(pid_of api)"
  env_line TENANTRY_WORKER_PID "$(pid_of worker)"
  # Empty where the caller's own service is used.
  env_line TENANTRY_POSTGRES_PID "$([ -n "$DATABASE_IS_THEIRS" ] || pid_of postgres)"
  env_line TENANTRY_REDIS_PID "$([ -n "$REDIS_IS_THEIRS" ] || pid_of redis)"
  env_line TENANTRY_MAILBOX_PID "$([ -n "$SMTP_IS_THEIRS" ] || pid_of mailbox)"
}

env_line() { printf "export %s='%s'\n" "$1" "$(printf '%s' "$2" | sed "s/'/'\\\\''/g")"; } # NAME VALUE

summary() {
  local bold='' plain=''
  if [ -t 1 ]; then bold=$BOLD plain=$PLAIN; fi
  cat <<END

  ${bold}API${plain}             $API_URL
  ${bold}Documentation${plain}   $API_URL/docs
  ${bold}Sign in${plain}         $API_URL/sign-in
  ${bold}Mailbox${plain}         ${MAILBOX_URL:-none: mail goes to your SMTP_URL}

  ${bold}Organization${plain}    $DEMO_ORGANIZATION
  ${bold}Administrator${plain}   $DEMO_ADMIN_EMAIL
  ${bold}Password${plain}        $(secret DEMO_ADMIN_PASSWORD)

  ${bold}A first invitation${plain}, in another terminal in this folder:

    . .local/env
    organization=\$TENANTRY_URL/v1/orgs/\$DEMO_ORGANIZATION
    token=\$(curl -s \$organization/iam/login -H 'Content-Type: application/json' \\
      -d '{"username": "'\$DEMO_ADMIN_EMAIL'", "password": "'\$DEMO_ADMIN_PASSWORD'"}' |
      sed 's/.*"token": *"\([^"]*\)".*/\1/')
    curl -s \$organization/invitations -H "Authorization: Bearer \$token" -H 'Content-Type: application/json' \\
      -d '{"invitee_identifier": "bob@example.com", "role": "reader"}'
END
  if [ -n "${MAILBOX_URL:-}" ]; then
    cat <<END

  Open the mailbox, $MAILBOX_URL, follow the link in Bob's mail and choose a password. Then, as Bob:
END
  else
    cat <<END

  Follow the link in Bob's mail and choose a password. Then, as Bob:
END
  fi
  cat <<END

    token=\$(curl -s \$organization/iam/login -H 'Content-Type: application/json' \\
      -d '{"username": "bob@example.com", "password": "the one you chose"}' |
      sed 's/.*"token": *"\([^"]*\)".*/\1/')
    curl -s \$organization/iam/current-user -H "Authorization: Bearer \$token"

END
}

# Shows the logs, each line with who wrote it.
follow() { # NAME…
  local name
  for name in "$@"; do
    tail -n "${FOLLOW_FROM:-0}" -F "$STATE/log/$name.log" 2>/dev/null | label "$name" &
  done
  wait
}

label() { # NAME
  local line
  while IFS= read -r line; do printf '%-8s %s\n' "$1" "$line"; done
}

follow_until_one_ends() {
  local names name
  names=$(running_names)
  start_group follow api worker
  while :; do
    for name in $names; do
      running "$name" && continue
      kill -TERM -- "-$GROUP" 2>/dev/null || true
      show_tail "$STATE/log/$name.log"
      die "$name has ended; stopping the others"
    done
    sleep 1
  done
}

# --- what a throwaway run gives what it starts

# Whatever the caller's shell has must not reach it.
forget_callers_settings() {
  unset DATABASE_URL DATABASE_URL_FILE DATABASE_APP_URL DATABASE_APP_URL_FILE DATABASE_POOL_SIZE REDIS_URL REDIS_URL_FILE \
    REDIS_NAMESPACE SECRET_KEY SECRET_KEY_FILE PREVIOUS_SECRET_KEY PREVIOUS_SECRET_KEY_FILE PUBLIC_URL LISTEN_ADDR METRICS_ADDR TRUSTED_PROXIES EMAIL_EVENTS_SECRET \
    EMAIL_EVENTS_SECRET_FILE SMTP_URL SMTP_URL_FILE SMTP_CONNECTIONS SMTP_PER_SECOND MAIL_FROM WORKER_CONCURRENCY LOG \
    LOG_FORMAT RUN_SCHEDULES TENANTRY_API_PORT TENANTRY_METRICS_PORT TENANTRY_MAIL_PORT TENANTRY_SMTP_PORT
  unset "${!OTEL_@}" "${!LIMIT_@}"
  # A proxy serves to install things. What runs here is not asked through it.
  NO_PROXY=${NO_PROXY:-${no_proxy:-}}
  export NO_PROXY=${NO_PROXY:+$NO_PROXY,}127.0.0.1,localhost
  export no_proxy=$NO_PROXY
}

test_environment() {
  export TEST_DATABASE_URL=$DATABASE_URL TEST_REDIS_URL=$REDIS_URL TEST_REDIS_SERVER=$REDIS_SERVER
  export TEST_POSTGRES_BIN=$POSTGRES_BIN TEST_MAILDEV=$MAILDEV TEST_CHROMIUM TEST_CHROMEDRIVER
  export TEST_SAML_PYTHON=$SAML/bin/python TEST_SIMPLESAMLPHP=$SIMPLESAMLPHP
  TEST_CHROMIUM=$(find_chromium)
  TEST_CHROMEDRIVER=$(command -v chromedriver)
  forget_callers_settings
  unset PLATFORM_SLUG
}
