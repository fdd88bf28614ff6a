# shellcheck shell=bash
# Postgres, Redis and the web mailbox: private instances that only this machine can reach. Each start_* sets the URL of
# its service, and finds it running or starts it.

DATABASE_IS_THEIRS='' REDIS_IS_THEIRS='' SMTP_IS_THEIRS=''

# The caller's DATABASE_URL, REDIS_URL and SMTP_URL replace a private instance. In a shell that has sourced .local/env
# they are our own, of this run or of one that has ended, and mean nothing.
heed_callers_services() {
  case ${DATABASE_URL:-} in
    '' | *":$(secret POSTGRES_PASSWORD)@"*) unset DATABASE_URL DATABASE_APP_URL ;;
    *) DATABASE_IS_THEIRS=yes ;;
  esac
  case ${REDIS_URL:-} in
    '' | *":$(secret REDIS_PASSWORD)@"*) unset REDIS_URL ;;
    *) REDIS_IS_THEIRS=yes ;;
  esac
  case ${SMTP_URL:-} in
    '' | "smtp://127.0.0.1:$(saved_port smtp)") unset SMTP_URL ;;
    *) SMTP_IS_THEIRS=yes ;;
  esac
}

# --- Postgres

start_postgres() {
  place_postgres
  POSTGRES_BIN=$(find_postgres) ||
    die "no PostgreSQL $(cat "$POSTGRES_DATA/PG_VERSION") here, which made .local's data: install it, or ./dev reset"
  adopt_postgres
  choose_port postgres postgres
  DATABASE_URL=postgres://tenantry:$(secret POSTGRES_PASSWORD)@127.0.0.1:$PORT/tenantry
  DATABASE_APP_URL=postgres://tenantry_service:$(secret POSTGRES_APP_PASSWORD)@127.0.0.1:$PORT/tenantry
  if runs_as postgres "$PORT"; then return; fi

  [ -e "$POSTGRES_DATA/PG_VERSION" ] || make_postgres_data
  say "Starting Postgres"
  mkdir -p "$LOCAL/log"
  STARTED="$STARTED postgres"
  local log=${POSTGRES_DATA%/data}/postgres.log options try
  ln -sf "$log" "$STATE/log/postgres.log"
  # TCP only: the path of a Unix socket may not be longer than some 100 characters, and a checkout's may.
  options="-p $PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"
  if [ -n "${THROWAWAY:-}" ]; then
    options="$options -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    options="$options -c max_wal_size=256MB -c max_connections=400 ${POSTGRES_OPTIONS:-}"
  fi
  for try in 1 2 3 4 5; do
    as_postgres "$POSTGRES_BIN/pg_ctl" start -D "$POSTGRES_DATA" -l "$log" -w -t 120 -o "$options" \
      >"$LOCAL/log/postgres.log" 2>&1 && break
    # After a kill -9 of the server alone, those it had started take a moment to notice.
    [ "$try" -lt 5 ] && tail -n 5 "$log" 2>/dev/null | grep -q 'still in use' || {
      show_tail "$LOCAL/log/postgres.log"
      failed_to_start postgres
    }
    sleep 1
  done
  rm -f "$STATE/run/postgres"
  remember postgres "$(sed -n 1p "$POSTGRES_DATA/postmaster.pid")" "$PORT" || failed_to_start postgres
}

# Is there room for data in memory? They live as long as one run.
memory_is_ample() {
  local kib=0
  [ -z "${THROWAWAY:-}" ] || kib=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }')
  [ "${kib:-0}" -gt $((4 << 20)) ] && awk '/^MemAvailable/ { exit $2 < 8 * 2^20 }' /proc/meminfo
}

# Sets POSTGRES_DATA. As root the server runs as another user, who must be able to reach its folder: where the checkout
# is closed to him, it lies under /var/tmp. A throwaway one lies in memory, if it can: the tests make and drop hundreds
# of databases of hundreds of files, and a disk's file system takes as long for that as Postgres for all the rest.
place_postgres() {
  local folder
  POSTGRES_USER=
  folder=$(cat "$STATE/postgres-folder" 2>/dev/null || true)
  if [ "$(id -u)" -eq 0 ]; then
    POSTGRES_USER=nobody
    ! id postgres >/dev/null 2>&1 || POSTGRES_USER=postgres
  fi
  if [ -z "$folder" ] || [ ! -d "$folder" ]; then
    if memory_is_ample; then
      folder=$(postgres_folder_in /dev/shm)
    else
      folder=$STATE/postgres
      mkdir -p "$folder"
      [ -z "$POSTGRES_USER" ] || chown -R "$POSTGRES_USER" "$folder" # all of it, where a whole checkout was copied
      if ! as_postgres test -w "$folder"; then
        rmdir "$folder"
        folder=$(postgres_folder_in /var/tmp)
      fi
    fi
    chmod 700 "$folder"
    printf '%s\n' "$folder" >"$STATE/postgres-folder"
  fi
  POSTGRES_DATA=$folder/data
}

postgres_folder_in() { # FOLDER
  local folder
  folder=$(mktemp -d "$1/tenantry-$(printf '%s' "$STATE" | cksum | cut -d ' ' -f 1)-XXXXXX")
  [ -z "$POSTGRES_USER" ] || chown "$POSTGRES_USER" "$folder"
  printf '%s' "$folder"
}

# In /, for the current folder may be closed to that user.
as_postgres() {
  if [ -n "$POSTGRES_USER" ]; then
    (cd / && runuser -u "$POSTGRES_USER" -- "$@")
  else
    (cd / && "$@")
  fi
}

make_postgres_data() {
  local new=$POSTGRES_DATA.new password=$POSTGRES_DATA.password locale=C.UTF-8
  # The same order and the same letters on every machine; macOS has no C.UTF-8.
  if [ "$(uname)" = Darwin ]; then locale='C --lc-ctype=en_US.UTF-8'; fi
  rm -rf "$new"
  (umask 077 && secret POSTGRES_PASSWORD >"$password")
  [ -z "$POSTGRES_USER" ] || chown "$POSTGRES_USER" "$password"
  # shellcheck disable=SC2086 # the locale may be two options
  run_logged "Making a database" postgres as_postgres "$POSTGRES_BIN/initdb" -D "$new" --username=tenantry \
    --pwfile="$password" --auth=scram-sha-256 --encoding=UTF8 --locale=$locale ${THROWAWAY:+--no-sync}
  rm -f "$password"
  printf 'create database tenantry' | as_postgres "$POSTGRES_BIN/postgres" --single -D "$new" postgres \
    >>"$LOCAL/log/postgres.log" 2>&1
  # Last, so that the folder of this name is never half made.
  mv "$new" "$POSTGRES_DATA"
}

# postmaster.pid is the server's own record. After a kill -9 it is stale, and its pid, still a zombie's or by now somebody
# else's, would keep the server from starting; or the server runs, and ./dev was killed before it could note the pid.
# Without the file the server still refuses to start while processes of its predecessor use the data.
adopt_postgres() {
  local file=$POSTGRES_DATA/postmaster.pid pid
  ! running postgres || return 0
  pid=$(sed -n 1p "$file" 2>/dev/null || true)
  [ -n "$pid" ] || return 0
  if is_our_postgres "$pid"; then
    rm -f "$STATE/run/postgres"
    remember postgres "$pid" "$(sed -n 4p "$file")" && STARTED="$STARTED postgres"
  else
    rm -f "$file"
  fi
}

is_our_postgres() { # PID
  if [ -d /proc/self ]; then
    [ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$POSTGRES_DATA" ]
  else
    ps -o command= -p "$1" 2>/dev/null | grep -qF -- "-D $POSTGRES_DATA "
  fi
}

sql() { # ARG…
  PGPASSWORD=$(secret POSTGRES_PASSWORD) "$POSTGRES_BIN/psql" -X -q -v ON_ERROR_STOP=1 \
    -h 127.0.0.1 -p "$(saved_port postgres)" -U tenantry -d tenantry "$@"
}

# --- Redis

start_redis() {
  choose_port redis redis
  REDIS_URL=redis://:$(secret REDIS_PASSWORD)@127.0.0.1:$PORT/0
  if runs_as redis "$PORT"; then return; fi
  say "Starting Redis"
  mkdir -p "$STATE/redis"
  # Nothing is kept on disk: what Redis forgets, the application brings back from Postgres.
  (
    umask 077
    cat >"$STATE/redis/redis.conf" <<END
bind 127.0.0.1
port $PORT
requirepass $(secret REDIS_PASSWORD)
dir "$STATE/redis"
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
END
  )
  start redis "$PORT" "$REDIS_SERVER" "$STATE/redis/redis.conf"
  wait_for_port redis "$PORT"
}

# --- the web mailbox

# MailDev, as the lock file in scripts/maildev says.
install_mailbox() {
  MAILDEV=$LOCAL/maildev/node_modules/maildev/dist/bin/maildev.js
  install_npm "the web mailbox, MailDev" mailbox "$LOCAL/maildev" scripts/maildev
}

start_mailbox() {
  local smtp
  install_mailbox
  choose_port smtp mailbox "${TENANTRY_SMTP_PORT:-}" TENANTRY_SMTP_PORT
  smtp=$PORT
  choose_port mailbox mailbox "${TENANTRY_MAIL_PORT:-}" TENANTRY_MAIL_PORT
  SMTP_URL=smtp://127.0.0.1:$smtp
  MAILBOX_URL=http://127.0.0.1:$PORT
  if runs_as mailbox "$smtp-$PORT" "$LOCAL/maildev/installed"; then return; fi
  say "Starting the web mailbox"
  (umask 077 && mkdir -p "$STATE/mail")
  # shellcheck disable=SC2046,SC2086 # one word for each of the caller's variables that would configure it
  unset $(env | sed -n 's/^\(MAILDEV_[A-Z_]*\)=.*/\1/p') || true
  start mailbox "$smtp-$PORT" node "$MAILDEV" --ip 127.0.0.1 --smtp "$smtp" --web-ip 127.0.0.1 --web "$PORT" \
    --mail-directory "$STATE/mail" --max-emails 1000
  wait_for_port mailbox "$smtp"
  wait_for_port mailbox "$PORT"
}
