# Sourced by the other tools: where things are, and whether this machine can build Tipring.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
rust_wanted=1.95
target_dir=${CARGO_TARGET_DIR:-$top/target}

# A cargo installed by rustup a minute ago is found before the shell's next login, and wins over
# an older one of the distribution.
cargo_bin=${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
[ -x "$cargo_bin/cargo" ] && PATH=$cargo_bin:$PATH

say() { printf '%s\n' "$*"; }

# as_root COMMAND...: runs it as root, or says what to run where that cannot be done.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "needs root: $*" >&2
        return 1
    fi
}

# Ends the script with the one command that mends it if Rust is missing or too old.
need_rust() {
    local found mend
    found=$(cargo --version 2>/dev/null | awk '{print $2}')
    if [ -n "$found" ] &&
        [ "$(printf '%s\n' "$rust_wanted" "$found" | sort -V | head -n 1)" = "$rust_wanted" ]; then
        need_linker
        return
    fi
    if command -v rustup >/dev/null 2>&1; then
        mend="rustup update stable && rustup default stable"
    elif command -v curl >/dev/null 2>&1; then
        mend="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
    else
        mend="sudo apt-get install -y curl && curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
    fi
    if [ -z "$found" ]; then
        say "Tipring is built with Rust $rust_wanted or newer, and cargo is not installed." >&2
    else
        say "Tipring is built with Rust $rust_wanted or newer, and this is cargo $found." >&2
    fi
    say "This command mends it:" >&2
    say "" >&2
    say "    $mend" >&2
    exit 1
}

need_linker() {
    command -v cc >/dev/null 2>&1 && return
    say "Rust needs a linker, and there is no cc on this machine. This command mends it:" >&2
    say "" >&2
    say "    sudo apt-get install -y --no-install-recommends gcc libc6-dev" >&2
    exit 1
}

# need_packages NAME...: installs those of Debian's packages that are missing.
need_packages() {
    local name missing=()
    for name in "$@"; do
        dpkg -s "$name" >/dev/null 2>&1 || missing+=("$name")
    done
    [ ${#missing[@]} = 0 ] && return
    as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -yq --no-install-recommends "${missing[@]}" || exit 1
}

# write_section NAME FILE: puts FILE between the marks of NAME in docs/dsp.md.
write_section() {
    awk -v name="$1" -v table="$2" '
        $0 == "<!-- end: " name " -->" { inside = 0 }
        !inside { print }
        $0 == "<!-- begin: " name " -->" {
            inside = 1
            while ((getline line < table) > 0) print line
        }
    ' docs/dsp.md >"$2.docs" && cp "$2.docs" docs/dsp.md
}
