# shellcheck shell=bash
# `./dev bench`: what a release build costs, beside what it is compared with.

OHA_VERSION=1.16.0

# It starts its own Postgres, whose commits reach the disk, so it gets programs, not services.
bench() {
  use_throwaway_state
  need rust cc xmlsec postgres redis ps
  install_missing
  install_oha
  build --release
  export TEST_POSTGRES_BIN=$POSTGRES_BIN TEST_REDIS_SERVER=$REDIS_SERVER TEST_OHA=$LOCAL/oha/bin/oha
  # Where files are on a disk: /tmp may be memory, and a commit would cost nothing.
  export TMPDIR=/var/tmp
  in_group "$TARGET/release/bench" --json "$TARGET/bench.json" "$@" || exit $?
}

# The load generator. It keeps a fixed rate and counts from when a request was due; wrk and h2load do not. With the system's
# TLS, which is the quickest to build and not used.
install_oha() {
  if [ "$("$LOCAL/oha/bin/oha" --version 2>/dev/null)" = "oha $OHA_VERSION" ]; then return; fi
  run_logged "Installing the load generator, oha (once, some minutes)" oha \
    cargo install --quiet --locked --root "$LOCAL/oha" --no-default-features --features native-tls "oha@$OHA_VERSION"
}
