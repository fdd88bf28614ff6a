# shellcheck shell=bash
# What the tests of single sign-on take: two identity providers that others wrote, and the program that attacks.

SAML=$LOCAL/saml                   # Python: the identity provider nanoidp, and what tests/saml/attack.py needs
SIMPLESAMLPHP=$LOCAL/simplesamlphp # PHP: an identity provider that encrypts and logs out
SIMPLESAMLPHP_VERSION=1.19.7

install_identity_providers() {
  install_python saml "$SAML" tests/saml/requirements.txt
  [ -d "$SIMPLESAMLPHP/www" ] || install_simplesamlphp
}

# Debian has it as a package, of which only the files are wanted: installed, it would bring and start a web server.
install_simplesamlphp() {
  command -v apt-get >/dev/null ||
    die "SimpleSAMLphp $SIMPLESAMLPHP_VERSION is missing: unpack its release so that $SIMPLESAMLPHP/www is there"
  run_logged "Installing SimpleSAMLphp" simplesamlphp unpack_simplesamlphp
}

unpack_simplesamlphp() {
  local folder=$SIMPLESAMLPHP.new
  rm -rf "$folder"
  mkdir -p "$folder" || return
  (cd "$folder" && download_simplesamlphp && dpkg-deb -x simplesamlphp_*.deb .) || return
  [ -d "$folder/usr/share/simplesamlphp/www" ] || return
  # Last, so that half an installation is never taken for a whole one.
  mv "$folder/usr/share/simplesamlphp" "$SIMPLESAMLPHP" && rm -rf "$folder"
}

# A machine that had all else may not have asked for years what there is.
download_simplesamlphp() {
  apt-get download simplesamlphp || { may_be_root && as_root apt-get update -q && apt-get download simplesamlphp; }
}
