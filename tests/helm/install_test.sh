#!/usr/bin/env bash
# install_test.sh SOURCE BUILD
# Installs into an empty directory; sees that exactly what is expected is there, that each program runs, and that
# helm/Dockerfile names the Debian packages that the programs are linked with: none is missing, and none is too much.
set -euo pipefail
source=$1
build=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

failed=0
complain() { printf '%s\n' "$*" >&2; failed=1; }

# expect_same WHAT EXPECTED FOUND, both sorted lines
expect_same() {
  [ "$2" = "$3" ] && return 0
  complain "$1: expected (-) and found (+) differ:"
  diff -u <(printf '%s\n' "$2") <(printf '%s\n' "$3") | tail -n +4 >&2 || true
}

# The packages that the Nth `apt-get install` of the Dockerfile names.
packages_of_stage() {
  tr '\n' ' ' <"$source/helm/Dockerfile" | sed 's/\\ / /g' | grep -o 'no-install-recommends [^&]*' | sed -n "$1p" |
    cut -d ' ' -f 2- | xargs -n 1 | sort
}

DESTDIR=$root cmake --install "$build" --prefix /usr >"$root.log" || { cat "$root.log" >&2; exit 1; }
rm -f "$root.log"
expect_same "installed files" "$(sort <<'TEXT'
usr/bin/walstitch
usr/bin/walstitch-agent
usr/bin/walstitch-controller
usr/share/bash-completion/completions/walstitch
usr/share/doc/walstitch/LICENSE
usr/share/doc/walstitch/README.md
usr/share/doc/walstitch/agents/wal/FORMAT.md
usr/share/doc/walstitch/controller/FAILOVER.md
usr/share/doc/walstitch/docs/README.md
usr/share/doc/walstitch/docs/configuration.md
usr/share/doc/walstitch/docs/metrics.md
usr/share/doc/walstitch/docs/relay-tls.md
usr/share/doc/walstitch/docs/runbook.md
usr/share/doc/walstitch/docs/security.md
usr/share/doc/walstitch/docs/sentinel.md
usr/share/doc/walstitch/docs/upgrade.md
usr/share/doc/walstitch/docs/webhooks.md
usr/share/doc/walstitch/helm/README.md
usr/share/doc/walstitch/helm/walstitch/files/alerts.yaml
usr/share/doc/walstitch/helm/walstitch/files/dashboard.json
usr/share/doc/walstitch/policies/README.md
usr/share/doc/walstitch/policies/profiles/cache.yaml
usr/share/doc/walstitch/policies/profiles/mixed.yaml
usr/share/doc/walstitch/policies/profiles/strict.yaml
usr/share/man/man1/walstitch.1
usr/share/man/man8/walstitch-agent.8
usr/share/man/man8/walstitch-controller.8
usr/share/walstitch/policies/cache.yaml
usr/share/walstitch/policies/mixed.yaml
usr/share/walstitch/policies/strict.yaml
usr/share/zsh/site-functions/_walstitch
TEXT
)" "$(cd "$root" && find . -type f -o -type l | sed 's|^\./||' | sort)"

# Every link of an installed page leads to something that is installed; and their words are all there.
links=0
while IFS= read -r page; do
  while IFS= read -r target; do
    case $target in http://* | https://* | '#'*) continue ;; esac
    links=$((links + 1))
    [ -e "$(dirname "$page")/${target%%#*}" ] || complain "${page#"$root"}: links to $target, which is not installed"
  done < <(grep -o '](\([^) ]*\))' "$page" | sed 's/^](//; s/)$//')
  original=$source/${page#"$root/usr/share/doc/walstitch/"}
  without_links='s/\[\([^][]*\)\]([^() ]*)/\1/g'
  expect_same "${page#"$root"}, but for its links" "$(sed "$without_links" "$original")" "$(sed "$without_links" "$page")"
done < <(find "$root/usr/share/doc/walstitch" -name '*.md')
[ "$links" -gt 50 ] || complain "the installed pages have $links links only"

for program in walstitch walstitch-agent walstitch-controller; do
  said=$("$root/usr/bin/$program" --version) || complain "$program --version fails"
  [[ $said =~ ^$program\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || complain "$program --version says '$said'"
done

# What builds the image is what builds here, without the tests.
expect_same "packages that build, of ./x and of helm/Dockerfile" \
  "$(sed -n '/^BUILD_PACKAGES=(/,/)/p' "$source/x" | tr -d '()' | sed 's/BUILD_PACKAGES=//' | xargs -n 1 |
    grep -vx 'libgtest-dev\|librapidcheck-dev' | sort)" "$(packages_of_stage 1)"

if ! command -v dpkg-query >/dev/null || ! command -v objdump >/dev/null; then
  echo "LEFT OUT: the comparison of libraries; it needs Debian's dpkg-query, and objdump"
  exit $((failed ? 1 : 77))
fi

# package_of FILE. A library of a merged /usr is known under its old name, too.
package_of() {
  local path
  for path in "$1" "$(readlink -f "$1")" "${1#/usr}" "$(readlink -f "$1" | sed 's|^/usr||')"; do
    dpkg-query -S "$path" 2>/dev/null | cut -d : -f 1 | head -n 1 | grep . && return 0
  done
  echo "of-no-package:$1"
}

direct=()
all=()
for program in "$root"/usr/bin/*; do
  needed=$(objdump -p "$program" | awk '$1 == "NEEDED" {print $2}')
  while read -r name path; do
    package=$(package_of "$path")
    all+=("$package")
    grep -qxF "$name" <<<"$needed" && direct+=("$package")
  done < <(ldd "$program" | awk '$2 == "=>" {print $1, $3}')
done
listed=$(packages_of_stage 2)
# The C library, and that of the compiler, are in every Debian.
expect_same "packages of libraries that the programs are linked with, and those that helm/Dockerfile installs" \
  "$(printf '%s\n' "${direct[@]}" | grep -vx 'libc6\|libgcc-s1' | sort -u)" "$listed"

# Libraries of libraries come with their packages.
declare -A brought=()
queue=(libc6 libgcc-s1 $listed)
while [ ${#queue[@]} -gt 0 ]; do
  package=${queue[0]}
  queue=("${queue[@]:1}")
  [ -z "${brought[$package]:-}" ] || continue
  brought[$package]=1
  mapfile -t -O "${#queue[@]}" queue < <(dpkg-query -W -f '${Pre-Depends}, ${Depends}\n' "$package" 2>/dev/null |
    tr ',|' '\n\n' | sed 's/^ *//; s/[ :(].*//' | grep . || true)
done
for package in $(printf '%s\n' "${all[@]}" | sort -u); do
  [ -n "${brought[$package]:-}" ] ||
    complain "$package: its library is needed, and nothing in helm/Dockerfile brings it"
done
exit $failed
