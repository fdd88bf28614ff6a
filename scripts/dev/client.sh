# shellcheck shell=bash
# `./dev client`: a client of the API, made of openapi.json by generators that others wrote. clients/ holds, for each
# language, what pins them and a program that uses what they make.

GENERATORS=$LOCAL/clients # a folder a language: the generator, its type checker, and what a generated client needs

client() { # LANGUAGE FOLDER
  local language=${1:-} folder=${2:-}
  # Where ./dev was called from.
  case $folder in '' | /*) ;; *) folder=$OLDPWD/$folder ;; esac
  case $#:$language in
    2:typescript) need node ;;
    2:python) need python ;;
    *) die "./dev client takes typescript or python, and a folder to put it in" ;;
  esac
  install_missing
  install_generator "$language"
  mkdir -p "$folder"
  "generate_$language" "$folder"
}

install_generator() { # LANGUAGE
  mkdir -p "$GENERATORS"
  case $1 in
    typescript) install_npm "what clients/typescript needs" typescript "$GENERATORS/typescript" clients/typescript ;;
    python) install_python python "$GENERATORS/python" clients/python/requirements.txt ;;
  esac
}

generate_typescript() { # FOLDER
  local modules=$GENERATORS/typescript/node_modules
  cp clients/typescript/* "$1"
  [ -e "$1/node_modules" ] || ln -s "$modules" "$1/node_modules"
  in_group "$modules/.bin/openapi-typescript" openapi.json --output "$1/tenantry.ts" >&2 || die "nothing was generated"
  say "Compiling it"
  in_group "$modules/.bin/tsc" --project "$1" >&2 || die "it does not compile"
  say "With ./dev up running, after . .local/env:"
  printf "node '%s'\n" "$1/first_invitation.js"
}

generate_python() { # FOLDER
  local bin=$GENERATORS/python/bin
  cp clients/python/first_invitation.py "$1"
  PATH=$bin:$PATH in_group "$bin/openapi-python-client" generate --path openapi.json --meta none --overwrite \
    --output-path "$1/tenantry" --config clients/python/generator.yaml --fail-on-warning >&2 || die "not all was generated"
  say "Checking its types"
  (cd "$1" && "$bin/mypy" --strict --cache-dir /dev/null tenantry first_invitation.py) >&2 || die "its types are wrong"
  say "With ./dev up running, after . .local/env:"
  printf "'%s' '%s'\n" "$bin/python" "$1/first_invitation.py"
}
