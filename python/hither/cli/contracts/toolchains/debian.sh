# Sourced by the installers: packages of Debian, downloaded and unpacked without root and without being installed.
#
#   begin NAME RECIPE   ends the script if this recipe has been made; else makes the folder $work, which becomes $home
#   unpack PACKAGE...   into $work/root
#   finish              puts $work in place of $home

say() { printf 'setup: %s\n' "$*" >&2; }

begin() {
    home="${HITHER_CACHE:-$HOME/.cache/hither}/$1"
    recipe="$2"
    if [ -f "$home/complete" ] && [ "$(cat "$home/complete")" = "$recipe" ]; then exit 0; fi
    mkdir -p "$(dirname "$home")"
    # Two builds at once: the second waits, and finds it made.
    exec 9>"$home.lock"
    flock 9
    if [ -f "$home/complete" ] && [ "$(cat "$home/complete")" = "$recipe" ]; then exit 0; fi
    work="$home.new"
    rm -rf "$work"
    mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial" "$work/debs"
    command -v apt-get >/dev/null || { say "this toolchain is made of Debian's packages; apt-get was not found"; exit 1; }
    apt=(apt-get -qq -o "Dir::State=$work/apt/state" -o "Dir::Cache=$work/apt/cache"
        -o Dir::State::status=/var/lib/dpkg/status -o APT::Sandbox::User=)
}

unpack() {
    "${apt[@]}" update
    (
        cd "$work/debs"
        "${apt[@]}" download "$@"
        for package in *.deb; do dpkg-deb -x "$package" ../root; done
    )
    rm -rf "$work/debs" "$work/apt"
}

finish() {
    printf '%s' "$recipe" >"$work/complete"
    rm -rf "$home"
    mv "$work" "$home"
}
