# shellcheck shell=bash
# State folders, ports, secrets and processes. A process is known by its pid and by when it began, for a pid alone may
# have been given to somebody else's process since: nothing is ever signalled without comparing both.

# STATE holds one set of services: run/ (who runs), log/, ports, secrets, and a folder for each service's data.
use_state() { # FOLDER
  STATE=$1
  mkdir -p "$STATE/run" "$STATE/log"
  # A checkout that was copied or moved must not take the original's processes for its own.
  if [ "$(cat "$STATE/checkout" 2>/dev/null || true)" != "$ROOT" ]; then
    rm -rf "$STATE/run" "$STATE/postgres-folder" "$STATE/postgres/data/postmaster.pid"
    mkdir -p "$STATE/run"
    printf '%s\n' "$ROOT" >"$STATE/checkout"
  fi
}

# A state folder for this run alone, deleted with all that ran in it.
use_throwaway_state() {
  sweep_tests
  mkdir -p "$LOCAL/test"
  local folder
  folder=$(mktemp -d "$LOCAL/test/XXXXXX")
  chmod 755 "$folder" # Postgres may run as another user and has to pass through
  THROWAWAY=yes
  use_state "$folder"
  claim
}

# Ends and deletes what test runs left that were killed before they could.
sweep_tests() {
  local folder mine=${STATE:-}
  for folder in "$LOCAL"/test/*/; do
    STATE=${folder%/}
    [ -e "$STATE/run/dev" ] || continue
    running dev || { stop_all && delete_state; }
  done
  STATE=$mine
}

delete_state() {
  local elsewhere
  elsewhere=$(cat "$STATE/postgres-folder" 2>/dev/null || true)
  case $elsewhere in
    /dev/shm/tenantry-* | /var/tmp/tenantry-*) rm -rf "$elsewhere" ;;
  esac
  rm -rf "$STATE"
}

# One ./dev at a time starts and stops what is in a state folder.
claim() {
  if running dev; then
    die "./dev up already runs here (process $(pid_of dev)): press Ctrl-C there, or ./dev down"
  fi
  rm -f "$STATE/run/dev"
  remember dev $$ || die "another ./dev has just been started here"
}

# --- who is running

# A line that is different for every process that ever had this pid; fails if there is none now.
identity() { # PID
  if [ -d /proc/self ]; then
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The second field is the name in brackets and may hold anything; the state comes after it, and as the 20th from
    # there the start in clock ticks since the machine's.
    # shellcheck disable=SC2086 # split into fields
    set -- ${stat##*) }
    [ "$1" != Z ] || return 1
    printf '%s %s\n' "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || true)" "${20}"
  else
    ps -o lstart= -p "$1" 2>/dev/null
  fi
}

# Notes that NAME is running as PID; FINGERPRINT tells how it was set up. Fails if NAME is noted already.
remember() { # NAME PID [FINGERPRINT]
  local who
  who=$(identity "$2") || return 1
  (set -o noclobber && printf '%s\n' "$2" "$who" "${3:-}" >"$STATE/run/$1") 2>/dev/null
}

pid_of() { sed -n 1p "$STATE/run/$1" 2>/dev/null || true; } # NAME

running() { # NAME
  local pid
  pid=$(pid_of "$1")
  [ -n "$pid" ] && [ "$(identity "$pid")" = "$(sed -n 2p "$STATE/run/$1")" ]
}

running_names() {
  local name
  for name in api worker mailbox redis postgres; do
    ! running "$name" || printf '%s ' "$name"
  done
}

# --- starting and stopping

# Names this run of ./dev must stop when it ends.
STARTED=

# Starts a process that outlives this script and its terminal, with its output in log/NAME.log.
start() { # NAME FINGERPRINT COMMAND…
  local name=$1 fingerprint=$2 log=$STATE/log/$1.log
  shift 2
  [ ! -e "$log" ] || mv -f "$log" "$log.1"
  rm -f "$STATE/run/$name"
  STARTED="$STARTED $name"
  # `set -m` gives it a process group of its own: a Ctrl-C in the terminal is for this script, which ends them in order.
  (
    set -m
    nohup "$@" </dev/null >"$log" 2>&1 &
    remember "$name" $! "$fingerprint"
  ) || failed_to_start "$name"
}

failed_to_start() { # NAME
  show_tail "$STATE/log/$1.log"
  die "$1 did not start"
}

# Succeeds if NAME runs just as it would be started now; ends it if it runs otherwise.
runs_as() { # NAME FINGERPRINT [BINARY]
  running "$1" || return 1
  if [ "$(sed -n 3p "$STATE/run/$1")" = "$2" ] && ! [ "${3:-/nonexistent}" -nt "$STATE/run/$1" ]; then
    return 0
  fi
  say "Restarting $1"
  stop "$1"
  return 1
}

fingerprint() { printf '%s\n' "$@" | cksum | tr -d ' '; } # WORD…

stop() { # NAME
  local pid signal=TERM try
  if running "$1"; then
    pid=$(pid_of "$1")
    [ "$1" != postgres ] || signal=INT # ends open connections; TERM would wait for them
    kill -"$signal" "$pid" 2>/dev/null || true
    for try in {1..300}; do
      running "$1" || break
      # A worker that finishes its jobs gets time; ./dev itself needs it to stop all the others.
      if [ "$try" -eq 200 ]; then kill -KILL "$pid" 2>/dev/null || true; fi
      sleep 0.1
    done
  fi
  rm -f "$STATE/run/$1"
}

stop_all() {
  local name
  # Those in front first, so that nobody's last request fails; they all get the signal before the first is waited for.
  for name in api worker mailbox; do
    ! running "$name" || kill -TERM "$(pid_of "$name")" 2>/dev/null || true
  done
  for name in api worker mailbox redis postgres; do
    stop "$name"
  done
}

# --- a command in the foreground that ends with us, children and all

GROUP=

start_group() { # COMMAND…
  set -m
  "$@" </dev/null &
  GROUP=$!
  set +m
}

end_group() {
  local status=0
  wait "$GROUP" || status=$?
  # What it left behind, if it did not end in good order.
  kill -KILL -- "-$GROUP" 2>/dev/null || true
  GROUP=
  return "$status"
}

in_group() { # COMMAND…
  start_group "$@"
  end_group
}

finish() {
  trap '' INT TERM HUP
  trap - ERR
  set +e
  if [ -n "$GROUP" ]; then
    { kill -TERM -- "-$GROUP" && wait "$GROUP"; } 2>/dev/null
    kill -KILL -- "-$GROUP" 2>/dev/null
  fi
  [ -n "${STATE:-}" ] || return
  local name
  [ -z "$STARTED" ] || [ -n "${THROWAWAY:-}" ] || say "Stopping"
  for name in api worker mailbox redis postgres; do
    case " $STARTED " in *" $name "*) stop "$name" ;; esac
  done
  if [ "$(pid_of dev)" = $$ ]; then rm -f "$STATE/run/dev"; fi
  if [ -n "${THROWAWAY:-}" ]; then delete_state; fi
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- ports

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; } # PORT

saved_port() { sed -n "s/^$1=//p" "$STATE/ports" 2>/dev/null || true; } # NAME

# Sets PORT: the one asked for; or that of the last run, so that bookmarks survive; or a free one.
choose_port() { # NAME SERVICE [WANTED VARIABLE]
  local name=$1 service=$2 wanted=${3:-} saved first
  saved=$(saved_port "$name")
  PORT=${wanted:-$saved}
  if [ -n "$PORT" ] && [ "$PORT" = "$saved" ] && running "$service"; then return; fi
  if [ -n "$wanted" ] && port_answers "$wanted"; then
    die "port $wanted ($4) is taken by another process"
  fi
  if [ -z "$PORT" ] || { [ -z "$wanted" ] && port_answers "$PORT"; }; then
    # Where to begin depends on the folder, so that two checkouts that start at once don't race for the same port.
    first=$(printf '%s' "$STATE" | cksum | cut -d ' ' -f 1)
    PORT=$((20000 + first % 1000 * 10))
    while port_answers "$PORT" || grep -qs "=$PORT\$" "$STATE/ports"; do PORT=$((PORT + 1)); done
  fi
  {
    grep -sv "^$name=" "$STATE/ports" || true
    printf '%s=%s\n' "$name" "$PORT"
  } >"$STATE/ports.new"
  mv -f "$STATE/ports.new" "$STATE/ports"
}

wait_for_port() { # NAME PORT
  local _
  for _ in {1..300}; do
    running "$1" || failed_to_start "$1"
    ! port_answers "$2" || return 0
    sleep 0.1
  done
  failed_to_start "$1"
}

# --- secrets

# Prints a secret of this state folder, made at its first use: letters and digits, fit for a URL.
secret() { # NAME [LENGTH]
  local value
  value=$(sed -n "s/^$1=//p" "$STATE/secrets" 2>/dev/null || true)
  if [ -z "$value" ]; then
    value=$(od -An -v -N 32 -tx1 /dev/urandom | tr -d ' \n' | cut -c "1-${2:-64}")
    (umask 077 && printf '%s=%s\n' "$1" "$value" >>"$STATE/secrets")
  fi
  printf '%s' "$value"
}
