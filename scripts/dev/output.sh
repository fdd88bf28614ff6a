# shellcheck shell=bash
# What ./dev says, and how it ends when something fails. Progress goes to standard error, results to standard output.

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\033[1m' DIM=$'\033[2m' RED=$'\033[31m' PLAIN=$'\033[0m' CLEAR_LINE=$'\r\033[K'
else
  BOLD='' DIM='' RED='' PLAIN='' CLEAR_LINE=''
fi

say() { printf '%s\n' "${DIM}·${PLAIN} $*" >&2; }

die() {
  printf '%s\n' "${RED}./dev:${PLAIN} $*" >&2
  exit 1
}

# A command failed that nobody looked at: name it, or the script would end without a word.
trap 'printf "%s\n" "./dev: failed: $BASH_COMMAND (${BASH_SOURCE[0]##*/}, line $LINENO)" >&2' ERR

show_tail() { # FILE [LINES]
  [ -s "$1" ] || return 0
  printf '%s\n' "${DIM}--- the end of ${1#"$ROOT"/}${PLAIN}" >&2
  tail -n "${2:-30}" "$1" >&2
  printf '%s\n' "${DIM}---${PLAIN}" >&2
}

# Says WHAT, runs the command with its output in a log, and shows the end of that log if it fails.
run_logged() { # WHAT LOG COMMAND…
  local what=$1 log=$LOCAL/log/$2.log status=0 since=$SECONDS
  shift 2
  mkdir -p "$LOCAL/log"
  say "$what"
  start_group "$@" >"$log" 2>&1
  while kill -0 "$GROUP" 2>/dev/null; do
    sleep 0.2
    [ -z "$CLEAR_LINE" ] || [ $((SECONDS - since)) -lt 3 ] ||
      printf '%s' "${CLEAR_LINE}  ${DIM}$((SECONDS - since)) s · $(tail -n 1 "$log" | cut -c 1-70)${PLAIN}" >&2
  done
  end_group || status=$?
  [ -z "$CLEAR_LINE" ] || printf '%s' "$CLEAR_LINE" >&2
  [ "$status" -eq 0 ] && return 0
  show_tail "$log" 60
  die "that failed (exit code $status): $what"
}
