# shellcheck shell=bash
# What has to be on the machine, where to find it, and how to get it: by apt-get as root or through a sudo that asks no
# password, by Homebrew, and else by saying what to install.

OLDEST_POSTGRES=15
OLDEST_NODE=20
OLDEST_PYTHON=3.11
OLDEST_PHP=8.1
PRIVATE_NODE=22.23.3 # where the distribution's is too old; the npm package of this name is Node.js itself

NEEDED=

need() { NEEDED="$NEEDED $*"; } # TOOL…

install_missing() {
  local tool
  use_private_paths
  local missing=
  for tool in $NEEDED; do
    have "$tool" || missing="$missing $tool"
  done
  [ -z "$missing" ] || install_packages "$missing"
  case $missing in *node*) node_is_new || install_private_node ;; esac
  local still=
  for tool in $missing; do
    have "$tool" || still="$still
  $(describe "$tool") is missing: $(hint "$tool")"
  done
  [ -z "$still" ] || die "this machine lacks something:$still"
  POSTGRES_BIN=$(find_postgres || true)
  REDIS_SERVER=$(find_redis || true)
}

# Places that a login shell would have on its path, and a bare one may not.
use_private_paths() {
  local folder
  for folder in "$HOME/.cargo/bin" /opt/homebrew/bin /opt/homebrew/opt/rustup/bin /usr/local/opt/rustup/bin; do
    case ":$PATH:" in *":$folder:"*) continue ;; esac
    [ ! -d "$folder" ] || PATH=$PATH:$folder
  done
  [ ! -x "$LOCAL/node/node_modules/.bin/node" ] || PATH=$LOCAL/node/node_modules/.bin:$PATH
  export PATH
}

have() { # TOOL
  case $1 in
    rust) [ -n "$(rust_version)" ] && at_least "$(rust_version)" "$(oldest_rust)" ;;
    cc) command -v cc >/dev/null ;;
    curl) command -v curl >/dev/null ;;
    xmlsec) find_xmlsec ;;
    postgres) find_postgres >/dev/null ;;
    redis) find_redis >/dev/null ;;
    node) node_is_new && command -v npm >/dev/null ;;
    python) find_python >/dev/null ;;
    php) find_php >/dev/null ;;
    ps) command -v ps >/dev/null && type -P kill >/dev/null ;; # bash has a kill of its own
    browser) find_chromium >/dev/null && command -v chromedriver >/dev/null ;;
  esac
}

describe() { # TOOL
  case $1 in
    rust) printf 'Rust %s or newer%s' "$(oldest_rust)" "$(found_instead "$(rust_version)")" ;;
    cc) printf 'A C compiler' ;;
    curl) printf 'curl' ;;
    xmlsec) printf 'XMLSec with OpenSSL, its headers, and libclang (which reads them)' ;;
    postgres) printf 'PostgreSQL %s or newer' "$OLDEST_POSTGRES" ;;
    redis) printf 'Redis (or Valkey)' ;;
    node) printf 'Node.js %s or newer with npm%s' "$OLDEST_NODE" "$(found_instead "$(node --version 2>/dev/null || true)")" ;;
    python) printf 'Python %s or newer with venv' "$OLDEST_PYTHON" ;;
    php) printf 'PHP %s or newer with curl, mbstring and xml' "$OLDEST_PHP" ;;
    ps) printf 'ps and kill' ;;
    browser) printf 'Chromium with ChromeDriver' ;;
  esac
}

found_instead() { [ -z "$1" ] || printf ' (here: %s)' "$1"; }

hint() { # TOOL
  local packages
  if [ "$1" = rust ]; then
    if command -v rustup >/dev/null; then
      printf 'run: rustup update stable && rustup default stable'
    else
      printf 'install it with rustup, https://rustup.rs'
    fi
    return
  fi
  if command -v brew >/dev/null; then
    packages=$(packages brew "$1")
    if [ "$1" = cc ]; then printf 'run: xcode-select --install'; else printf 'run: brew install %s' "$packages"; fi
  elif command -v apt-get >/dev/null; then
    printf 'run as root: apt-get install %s' "$(packages apt "$1")"
  else
    printf "install it with your system's package manager"
  fi
}

packages() { # apt|brew TOOL
  case $1:$2 in
    apt:rust) if apt-cache show rustup >/dev/null 2>&1; then printf 'rustup'; fi ;;
    apt:cc) printf 'build-essential' ;;
    apt:curl) printf 'curl ca-certificates' ;;
    apt:xmlsec) printf 'libxmlsec1-dev libxml2-dev libssl-dev pkg-config%s' "$(libclang_packages)" ;;
    apt:postgres) printf 'postgresql' ;;
    apt:redis) printf 'redis-server' ;;
    apt:node) if command -v node >/dev/null; then printf 'npm'; else printf 'nodejs npm'; fi ;;
    apt:python) printf 'python3 python3-venv' ;;
    apt:php) printf 'php-cli php-curl php-mbstring php-xml' ;;
    apt:ps) printf 'procps' ;;
    apt:browser) printf 'chromium chromium-driver' ;;
    brew:rust) printf 'rustup' ;;
    brew:curl) printf 'curl' ;;
    brew:xmlsec) printf 'libxmlsec1 libxml2 openssl@3 pkgconf' ;; # libclang comes with the C compiler
    brew:postgres) printf 'postgresql@17' ;;
    brew:redis) printf 'redis' ;;
    brew:node) printf 'node' ;;
    brew:python) printf 'python3' ;;
    brew:php) printf 'php' ;;
    brew:browser) printf 'chromium chromedriver' ;;
  esac
}

install_packages() { # TOOLS
  local manager tool wanted='' list=''
  for tool in $1; do
    # What is there but too old is not the package manager's to mend.
    case $tool in
      rust) [ -z "$(rust_version)" ] || continue ;;
      node) ! command -v npm >/dev/null || continue ;;
    esac
    wanted="$wanted $tool"
  done
  [ -n "$wanted" ] || return 0
  if command -v apt-get >/dev/null && may_be_root; then
    manager=apt
    # Before the packages are chosen: a fresh machine knows none yet.
    run_logged "Asking the package manager what there is" install as_root apt-get update -q
  elif command -v brew >/dev/null; then
    manager=brew
  else
    return 0 # the caller says what is missing
  fi
  for tool in $wanted; do
    list="$list $(packages "$manager" "$tool")"
  done
  if [ -n "${list// /}" ]; then
    # shellcheck disable=SC2086 # one word for each package
    case $manager in
      apt)
        run_logged "Installing${list}" install as_root env DEBIAN_FRONTEND=noninteractive \
          apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 $list
        ;;
      brew) run_logged "Installing${list}" install brew install $list ;;
    esac
  fi
  use_private_paths
  case $wanted in *rust*)
    if command -v rustup >/dev/null && [ -z "$(rust_version)" ]; then
      run_logged "Installing Rust" install rustup default stable
    fi
    ;;
  esac
}

may_be_root() { [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi; }

at_least() { # VERSION OLDEST, as 1.95.0 and 1.95
  local a b
  a=$(printf '%s' "$1" | tr -cd '0-9.')
  b=$(printf '%s' "$2" | tr -cd '0-9.')
  [ "$(printf '%s\n%s\n' "$a" "$b" | sort -t . -k 1,1n -k 2,2n -k 3,3n | head -n 1)" = "$b" ]
}

# --- Rust

oldest_rust() { sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml; }

rust_version() { { cargo --version && rustc --version; } 2>/dev/null | sed -n 's/^rustc \([0-9.]*\).*/\1/p' || true; }

# --- XMLSec, which verifies the signatures of single sign-on

find_xmlsec() {
  use_brews_pkg_config
  pkg-config --exists xmlsec1-openssl libxml-2.0 openssl 2>/dev/null && command -v xmlsec1-config >/dev/null && find_libclang
}

# Homebrew keeps these out of the way of the system's own.
use_brews_pkg_config() {
  local folder
  for folder in {/opt/homebrew,/usr/local}/opt/{libxml2,openssl@3}/lib/pkgconfig; do
    case ":${PKG_CONFIG_PATH:-}:" in *":$folder:"*) continue ;; esac
    [ ! -d "$folder" ] || export PKG_CONFIG_PATH=$folder${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
  done
}

# The library and, beside it, the headers that a compiler brings along: without them `stddef.h` is not found.
find_libclang() {
  local file
  [ "$(uname)" != Darwin ] || return 0
  [ -z "${LIBCLANG_PATH:-}" ] || return 0
  for file in /usr/lib/llvm-*/lib/libclang*.so* /usr/lib*/libclang*.so* /usr/lib/*-linux-gnu/libclang*.so*; do
    [ -e "$file" ] || continue
    for file in /usr/lib/llvm-*/lib/clang/*/include/stddef.h /usr/lib*/clang/*/include/stddef.h; do
      [ ! -e "$file" ] || return 0
    done
  done
  return 1
}

# What the distribution's `libclang-dev` stands for, without its 200 MB of other things.
libclang_packages() {
  local version
  version=$(apt-cache depends libclang-dev 2>/dev/null | sed -n 's/.*Depends: libclang-\([0-9]*\)-dev.*/\1/p' | head -n 1)
  if [ -n "$version" ]; then
    printf ' libclang1-%s libclang-common-%s-dev' "$version" "$version"
  else
    printf ' libclang-dev'
  fi
}

# --- Node.js

node_is_new() {
  local version
  version=$(node --version 2>/dev/null) && at_least "$version" "$OLDEST_NODE"
}

# Debian 12 has Node.js 18. Its npm can fetch a newer one, which stays inside this folder.
install_private_node() {
  command -v npm >/dev/null || return 0
  mkdir -p "$LOCAL/node"
  printf '{ "private": true }\n' >"$LOCAL/node/package.json"
  run_logged "Installing Node.js $PRIVATE_NODE in .local, the system's is too old" install \
    npm install --prefix "$LOCAL/node" --no-audit --no-fund --no-update-notifier --save-exact "node@$PRIVATE_NODE"
  use_private_paths
}

# The packages that a folder's package-lock.json pins.
install_npm() { # WHAT LOG FOLDER SOURCE
  if cmp -s "$4/package-lock.json" "$3/installed"; then return; fi
  rm -rf "$3"
  mkdir -p "$3"
  cp "$4/package.json" "$4/package-lock.json" "$3"
  run_logged "Installing $1" "$2" npm ci --prefix "$3" --ignore-scripts --no-audit --no-fund --no-update-notifier
  # Last, so that half an installation is never taken for a whole one.
  mv "$3/package-lock.json" "$3/installed"
}

# --- PostgreSQL

# Prints the folder of the server's programs, the newest there is; or those that made the data, for no other can read it.
find_postgres() {
  local folder version made_by
  made_by=$(cat "${POSTGRES_DATA:-/nonexistent}/PG_VERSION" 2>/dev/null || true)
  for folder in $(postgres_folders); do
    [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ] && [ -x "$folder/psql" ] && [ -x "$folder/pg_dump" ] || continue
    version=$("$folder/postgres" --version 2>/dev/null | sed 's/.*(PostgreSQL) \([0-9]*\).*/\1/')
    [ "${version:-0}" -ge "$OLDEST_POSTGRES" ] || continue
    [ "${made_by:-$version}" = "$version" ] || continue
    printf '%s' "$folder"
    return 0
  done
  return 1
}

# Where distributions, Homebrew and Postgres.app put them, which is mostly not on the path.
postgres_folders() {
  local on_path
  printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
    /usr/local/opt/postgresql@*/bin /Applications/Postgres.app/Contents/Versions/*/bin |
    sed 's/^[^0-9]*\([0-9]*\)/\1 &/' | sort -rn | cut -d ' ' -f 2-
  on_path=$(command -v initdb || true)
  [ -z "$on_path" ] || dirname "$on_path"
}

# --- Redis

find_redis() { command -v redis-server || command -v valkey-server; }

# --- Chromium

find_chromium() {
  local app=/Applications/Chromium.app/Contents/MacOS/Chromium
  command -v chromium || command -v chromium-browser || command -v google-chrome ||
    { [ -x "$app" ] && printf '%s\n' "$app"; }
}

# --- PHP

find_php() {
  php -r "exit(version_compare(PHP_VERSION, '$OLDEST_PHP', '>=') && extension_loaded('curl') && extension_loaded('dom')
    && extension_loaded('mbstring') && extension_loaded('openssl') ? 0 : 1);" 2>/dev/null && command -v php
}

# --- Python

# Prints one that is new enough and can make a virtual environment: Debian has that in a package of its own.
find_python() {
  local name
  for name in python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11; do
    "$name" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (${OLDEST_PYTHON/./, }))" 2>/dev/null || continue
    command -v "$name"
    return 0
  done
  return 1
}

# A virtual environment with what a file of requirements pins, down to what that needs.
install_python() { # NAME FOLDER REQUIREMENTS
  if cmp -s "$3" "$2/installed" && "$2/bin/python" -c '' 2>/dev/null; then return; fi
  run_logged "Installing what ${3%/*} needs" "$1" make_python "$2" "$3"
  # Last, so that half an installation is never taken for a whole one.
  cp "$3" "$2/installed"
}

# What is imported gets compiled then; of what is installed that is a small part.
make_python() { # FOLDER REQUIREMENTS
  rm -rf "$1"
  "$(find_python)" -m venv "$1" &&
    "$1/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes --requirement "$2"
}
