# shellcheck shell=bash
# `./dev check` and `./dev prepare`: what can be said about the code without running it.

check() {
  use_throwaway_state
  need rust cc xmlsec postgres
  install_missing
  need_cargo fmt clippy
  export SQLX_OFFLINE=true

  if command -v shellcheck >/dev/null; then
    run_logged "Shell scripts" check shellcheck -x dev .ci/run
  else
    say "Shell scripts: left out, shellcheck is not installed"
  fi
  run_logged "Format" check cargo fmt --all --check
  say "Licences and sources of dependencies"
  check_dependencies
  run_logged "Lints" check cargo clippy --workspace --all-targets --locked -- -D warnings
  run_logged "Documentation" check env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
  check_queries
  build
  say "openapi.json"
  if ! "$TARGET/debug/tenantry-api" openapi | diff -u openapi.json - >"$LOCAL/log/check.log" 2>&1; then
    show_tail "$LOCAL/log/check.log"
    die "openapi.json is stale: run ./dev prepare"
  fi
  say "All is well."
}

prepare() {
  use_throwaway_state
  need rust cc xmlsec postgres
  install_missing
  describe_queries
  rm -rf .sqlx
  mkdir .sqlx
  cp "$QUERIES"/*.json .sqlx/ 2>/dev/null || true
  build
  "$TARGET/debug/tenantry-api" openapi >"$STATE/openapi.json"
  cat "$STATE/openapi.json" >openapi.json
  say "Wrote .sqlx and openapi.json."
}

need_cargo() { # COMMAND…
  local command
  for command in "$@"; do
    cargo "$command" --version >/dev/null 2>&1 ||
      die "cargo $command is missing; run: rustup component add rustfmt clippy"
  done
}

# --- .sqlx: what the compiler knows about each query when there is no database

# Compiles the queries against a database fresh from the migrations; what it learns goes to the folder QUERIES.
describe_queries() {
  local seen=$STATE/seen
  start_postgres
  run_logged "Migrations" migrations apply_migrations
  QUERIES=$STATE/queries
  mkdir "$QUERIES"
  # All queries are in the shared crate. It has to be compiled anew, but its file's time is put back, or the next build
  # would compile it again.
  touch -r shared/src/lib.rs "$seen"
  touch shared/src/lib.rs
  run_logged "Queries" queries env SQLX_OFFLINE_DIR="$QUERIES" SQLX_OFFLINE=false DATABASE_URL="$DATABASE_URL" \
    cargo check --workspace --all-targets --locked
  touch -r "$seen" shared/src/lib.rs
}

# With psql, for the program that usually does it can't be built while .sqlx is stale.
apply_migrations() {
  local file one
  for file in migrations/*.sql; do
    # As sqlx does it: each file in a transaction, unless its first line says otherwise.
    one=-1
    if head -n 1 "$file" | grep -q '^-- no-transaction'; then one=; fi
    sql ${one:+"$one"} -f "$file" || return
  done
}

check_queries() {
  describe_queries
  mkdir -p "$STATE/empty"
  local committed=.sqlx
  [ -d .sqlx ] || committed=$STATE/empty
  if ! diff -rq "$committed" "$QUERIES" >"$LOCAL/log/check.log"; then
    show_tail "$LOCAL/log/check.log"
    die ".sqlx is stale: run ./dev prepare"
  fi
}

# --- dependencies

# What may be linked into programs that are given away under Apache-2.0 without asking more of who receives them. What
# only the tests use is not given away and not looked at.
LICENCES="0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BSL-1.0 ISC MIT Unicode-3.0 Unlicense Zlib"

# This much of cargo-deny's work takes a second here; to install cargo-deny itself takes over four minutes on two cores,
# in every fresh CI run.
check_dependencies() {
  local strangers all line expression refused=
  strangers=$(sed -n 's/^source = "\(.*\)"/\1/p' Cargo.lock | sort -u | grep -v '^registry+.*/crates\.io-index$' || true)
  [ -z "$strangers" ] || die "dependencies from elsewhere than crates.io: $strangers"
  all=$(cargo tree --quiet --package tenantry-api --package tenantry-worker --locked --edges normal,build --target all \
    --prefix none --format '{p}|{l}')
  while IFS= read -r line; do
    expression=${line#*|}
    may_be_used "$expression" || refused="$refused
  ${line%%|*}: ${expression:-no licence}"
  done <<END
$(printf '%s\n' "$all" | sed 's/ (\*)$//; /^$/d' | sort -u)
END
  [ -z "$refused" ] || die "licences that are not on the list in scripts/dev/check.sh:$refused"
}

# Reads an SPDX expression: each licence becomes 1 or 0, OR and AND become operators, and bash does the sum.
may_be_used() { # EXPRESSION
  local word sum=
  for word in $(printf '%s' "$1" | sed 's/ WITH LLVM-exception//g; s|/| OR |g; s/[()]/ & /g'); do
    case $word in
      OR) sum="$sum ||" ;;
      AND) sum="$sum &&" ;;
      '(' | ')') sum="$sum $word" ;;
      *) case " $LICENCES " in *" $word "*) sum="$sum 1" ;; *) sum="$sum 0" ;; esac ;;
    esac
  done
  # In a subshell, for a sum that makes no sense would end the script.
  [ "$( (printf '%s' "$((sum))") 2>/dev/null)" = 1 ]
}
