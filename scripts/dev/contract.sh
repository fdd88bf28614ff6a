# shellcheck shell=bash
# `./dev check --api`: does the API answer as openapi.json says? Schemathesis asks it some thousands of questions.

SCHEMATHESIS=$LOCAL/schemathesis

check_api() {
  local seed=1 examples=15
  while [ $# -gt 0 ]; do
    case $1 in
      --seed) seed=${2:-} ;;
      --examples) examples=${2:-} ;;
      *) die "./dev check --api takes --seed N and --examples N" ;;
    esac
    case ${2:-} in '' | *[!0-9]*) die "$1 takes a number" ;; esac
    shift 2
  done

  use_throwaway_state
  forget_callers_settings
  need rust cc xmlsec curl postgres redis node python
  install_missing
  install_python schemathesis "$SCHEMATHESIS" scripts/schemathesis/requirements.txt
  choose_application_ports
  start_postgres
  start_redis
  start_mailbox
  build
  migrate
  make_organizations
  bear_with_failures
  start_api
  start_worker
  wait_until_ready
  ANSWERED=$STATE/answered
  ask_as_operator "$seed" "$examples"
  find_refused
  ask_as_stranger "$seed" "$examples"
}

# Nearly all that is asked fails, from one address. Limits would only hide what stands behind them.
bear_with_failures() {
  export LIMIT_ACCOUNT_AND_CLIENT=1000000/1 LIMIT_CLIENT=1000000/1 LIMIT_ACCOUNT=1000000/1 LIMIT_PASSWORD_RESETS=1000000/1 \
    LIMIT_WRONG_LINKS=1000000/1 LIMIT_COMPANY_SIGN_INS=1000000/1 LIMIT_OWN_SECRETS=1000000/1 \
    LIMIT_DOMAIN_LOOKUPS=1000000/1
}

ask_as_operator() { # SEED EXAMPLES
  say "What an operator is answered"
  export OPERATOR_SLUG=$PLATFORM_SLUG OPERATOR_EMAIL=$PLATFORM_ADMIN_EMAIL OPERATOR_PASSWORD
  export QUITTER_SLUG=$DEMO_ORGANIZATION QUITTER_EMAIL=$DEMO_ADMIN_EMAIL QUITTER_PASSWORD
  export EMAIL_EVENTS_SECRET
  OPERATOR_PASSWORD=$(secret PLATFORM_ADMIN_PASSWORD) QUITTER_PASSWORD=$(secret DEMO_ADMIN_PASSWORD)
  schemathesis "$@" || exit $?
  unset OPERATOR_PASSWORD QUITTER_PASSWORD EMAIL_EVENTS_SECRET
}

# A valid request may be refused for what a schema can't say, so a whole operation could be refused each time unnoticed.
find_refused() {
  "$SCHEMATHESIS/bin/python" scripts/schemathesis/answered.py openapi.json "$ANSWERED" || exit $?
}

ask_as_stranger() { # SEED EXAMPLES
  say "What a stranger is answered"
  # Nearly all is 401, which takes little to find out.
  schemathesis "$@" --phases fuzzing || exit $?
}

# Its exit code is ours. In this shell, not in one of its own, or a signal would leave it running. One worker: more would
# mix the calls in another order each time.
schemathesis() { # SEED EXAMPLES OPTION…
  local seed=$1 examples=$2
  shift 2
  export TENANTRY_URL=$API_URL ANSWERED
  in_group "$SCHEMATHESIS/bin/python" -m schemathesis.cli --config-file scripts/schemathesis/schemathesis.toml \
    run openapi.json --url "$API_URL" --seed "$seed" --max-examples "$examples" --workers 1 "$@"
}
