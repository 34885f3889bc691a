#!/usr/bin/env bash
# The one script: sees the add-on work, tests it, packs it for Splunk, and has Splunk's own check look at the package.
set -euo pipefail

usage='usage: ./build.sh demo [--keep] | test | package | inspect | bench [--quick | --runs N]

  demo      build, then play a day with Splunk and Microsoft against stand-ins; --keep leaves the stand-ins running
  test      format, lints, tests, documentation, package, inspect: everything CI runs
  package   dist/TA_defender-<version>.tgz, ready to install
  inspect   package, then Splunk AppInspect; any failure, error or future failure fails
  bench     what the program costs, side by side with its peers where they are at hand; writes BENCHMARKS.md, but not with --quick'

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root"

app=TA_defender
triple=x86_64-unknown-linux-gnu
glibc=2.17                                   # RHEL 7; the oldest system Splunk 9 ran on
target=${CARGO_TARGET_DIR:-$root/target}
venv=$root/.venv

say() { printf '\n== %s\n' "$*"; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "$1 is missing: $2"; }

need_rust() {
    need cargo "install Rust with rustup (https://rustup.rs); rust-toolchain.toml names the version"
    need cc "a C compiler links build scripts and compiles ring; on Debian: apt-get install gcc libc6-dev"
}

# The same version in Cargo.toml and twice in app.conf, or Splunk shows one and the log lines another.
app_version() {
    local cargo conf
    cargo=$(sed -n '/^\[package\]/,/^\[/s/^version *= *"\(.*\)"$/\1/p' Cargo.toml)
    [[ $cargo =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "Cargo.toml: no version of the form 1.2.3 under [package]"
    conf=$(sed -n 's/^version *= *//p' default/app.conf)
    [[ $conf == "$cargo"$'\n'"$cargo" ]] ||
        die "default/app.conf: version under [launcher] and [id] has to be $cargo, as in Cargo.toml; found: ${conf//$'\n'/, }"
    printf '%s' "$cargo"
}

# The Python tools of the build, in a folder of the project. Made anew when the pins change or the project moved.
need_venv() {
    need python3 "on Debian: apt-get install python3 python3-venv"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        die "python3 cannot make a virtual environment; on Debian: apt-get install python3-venv"
    local wanted
    wanted=$(printf '%s\n' "$venv" && cat build/requirements.txt)
    [[ -f $venv/installed && $(<"$venv/installed") == "$wanted" ]] && "$venv/bin/python" -c '' 2>/dev/null && return
    say "Python tools of the build into .venv"
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary cargo-zigbuild,ziglang \
        --requirement build/requirements.txt || die "pip could not install build/requirements.txt; its message is above"
    printf '%s\n' "$wanted" >"$venv/installed"
}

# The page of Splunk Web: React, bundled by esbuild. Written to target/page.
page() {
    need node "on Debian: apt-get install nodejs npm"
    need npm "on Debian: apt-get install npm"
    local wanted
    wanted=$(sha256sum app/ui/package-lock.json)
    if [[ ! -f app/ui/node_modules/installed || $(<app/ui/node_modules/installed) != "$wanted" ]]; then
        say "Libraries of the page into app/ui/node_modules"
        npm --prefix app/ui ci --no-audit --no-fund --loglevel=error
        printf '%s\n' "$wanted" >app/ui/node_modules/installed
    fi
    node app/ui/build.mjs "$root/target/page"
}

demo() {
    [[ $# -eq 0 || ($# -eq 1 && $1 == --keep) ]] || { printf '%s\n' "$usage" >&2; exit 2; }
    need_rust
    say "Building the program and the stand-ins"
    # The dev profile: a minute less to wait, and what `test` builds anyway.
    cargo build --locked --package ta-defender --bin defender
    cargo build --locked --package simulator --bin demo
    if [[ $# -eq 1 ]]; then page; fi
    exec cargo run --locked --quiet --package simulator --bin demo -- "$target/debug/defender" "$@"
}

compile() {
    need_rust
    need_venv
    [[ -d $(rustc --print target-libdir --target "$triple") ]] ||
        die "Rust's library for $triple is missing: rustup target add $triple"
    say "Compiling for $triple, glibc $glibc"
    # Paths of this machine stay out of the program: the same sources give the same bytes anywhere.
    local remap="--remap-path-prefix=$root=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
    PATH="$venv/bin:$PATH" CARGO_ZIGBUILD_PYTHON_PATH="$venv/bin/python" RUSTFLAGS="${RUSTFLAGS:-} $remap" \
        cargo zigbuild --locked --release --package ta-defender --bin defender --target "$triple.$glibc"

    local newest
    newest=$(LC_ALL=C grep -aoE 'GLIBC_2\.[0-9.]*[0-9]' "$binary" | sort -Vu | tail -n 1)
    [[ -n $newest ]] || die "$binary names no glibc version; it is not the dynamic executable that was expected"
    [[ $(printf '%s\n' "GLIBC_$glibc" "$newest" | sort -V | tail -n 1) == "GLIBC_$glibc" ]] ||
        die "$binary asks for $newest and would not start where glibc is $glibc"
    "$binary" --version || die "$binary does not start here"
    printf 'glibc symbols up to %s, %d bytes\n' "$newest" "$(stat -c %s "$binary")"
}

# The licences of everything linked into the program; most ask that their text go with it.
third_party() {
    cargo metadata --locked --format-version 1 --filter-platform "$triple" | "$venv/bin/python" -c '
import json, pathlib, sys

meta = json.load(sys.stdin)
packages = {p["id"]: p for p in meta["packages"]}
nodes = {n["id"]: n for n in meta["resolve"]["nodes"]}
todo = [p["id"] for p in meta["packages"] if p["name"] == "ta-defender"]
seen = set()
while todo:
    one = todo.pop()
    if one in seen:
        continue
    seen.add(one)
    todo += [d["pkg"] for d in nodes[one]["deps"] if any(k["kind"] is None for k in d["dep_kinds"])]

texts = {}
print("Third-party libraries in bin/defender, and their licences.\n")
for p in sorted((packages[i] for i in seen), key=lambda p: (p["name"], p["version"])):
    if p["source"] is None:
        continue
    print("%s %s  %s" % (p["name"], p["version"], p["license"] or "see the text below"))
    folder = pathlib.Path(p["manifest_path"]).parent
    for f in sorted(folder.iterdir()):
        if f.is_file() and f.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT")):
            texts.setdefault(f.read_text("utf-8", "replace").strip(), []).append("%s %s %s" % (p["name"], p["version"], f.name))
for text, owners in texts.items():
    print("\n%s\n%s\n%s\n\n%s" % ("-" * 79, "\n".join(owners), "-" * 79, text))
'
}

# pack <archive>: the laid-out folder as a .tgz that depends on its content and the commit's time alone.
pack() {
    local epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}
    # Names are listed, not globbed: no "./" in front (Splunk Cloud refuses it), nothing that was not looked at.
    (cd "$stage" && find "$app" -printf '%p\n' | LC_ALL=C sort) |
        tar --create --directory "$stage" --no-recursion --files-from - --format ustar \
            --owner root:0 --group root:0 --mtime "@$epoch" | gzip -n -9 >"$1"
}

package() {
    local version binary stage package stray
    version=$(app_version)
    binary=$target/$triple/release/defender
    stage=$target/package
    package=$root/dist/$app-$version.tgz
    for tool in tar gzip find sort stat; do need "$tool" "on Debian: apt-get install tar gzip findutils coreutils"; done
    tar --version | grep -q 'GNU tar' || die "GNU tar is needed: another tar has no --mtime and --owner"
    stray=$(find app default README -path app/ui/node_modules -prune -o \( -name '.*' -o -name '*~' -o -name local -o -name 'local.meta' \) -print)
    [[ -z $stray ]] || die "these do not belong into a package: ${stray//$'\n'/ }"
    page
    compile

    say "Packing $app $version"
    rm -rf "$stage"
    mkdir -p "$stage/$app/bin" "$stage/$app/LICENSES" dist
    find app -mindepth 1 -maxdepth 1 ! -name ui -exec cp -R {} "$stage/$app/" \;
    cp -R default README README.md CHANGELOG.md LICENSE "$stage/$app/"
    cp target/page/configuration.js "$stage/$app/appserver/static/"
    cp "$binary" "$stage/$app/bin/defender"
    third_party >"$stage/$app/LICENSES/third-party.txt"
    cp target/page/third-party.txt "$stage/$app/LICENSES/third-party-page.txt"
    find "$stage/$app" -type d -exec chmod 755 {} +
    find "$stage/$app" -type f -exec chmod 644 {} +
    chmod 755 "$stage/$app/bin/defender"
    pack "$package"
    pack "$stage/again.tgz"
    cmp "$package" "$stage/again.tgz" || die "packing the same folder twice gave two archives"
    printf '%s  %d bytes\n' "${package#"$root"/}" "$(stat -c %s "$package")"
    (cd dist && sha256sum "${package##*/}")
}

inspect() {
    local version reports package bad=0
    package
    version=$(app_version)
    package=$root/dist/$app-$version.tgz
    reports=$target/appinspect
    "$venv/bin/python" -c 'import magic' 2>/dev/null ||
        die "AppInspect needs libmagic; on Debian: apt-get install libmagic1"
    rm -rf "$reports" && mkdir -p "$reports"
    say "Splunk AppInspect"
    # aarch64_compatibility asks for a second executable; this package is for Linux x86_64.
    appinspect cloud --included-tags cloud || bad=1
    appinspect private_victoria --included-tags private_victoria || bad=1
    appinspect all --excluded-tags aarch64_compatibility || bad=1
    [[ $bad -eq 0 ]] || die "AppInspect refuses the package; the reports are in ${reports#"$root"/}"
}

# appinspect <name> <option>...: one run, judged by the summary in its report. Its exit code is 0 with failed checks too.
appinspect() {
    local name=$1 status=0
    shift
    "$venv/bin/python" "$venv/bin/splunk-appinspect" inspect "$package" --mode test --max-messages all --skip-trusted-libraries-update \
        --data-format json --output-file "$reports/$name.json" "$@" >"$reports/$name.log" 2>&1 || status=$?
    [[ -s $reports/$name.json ]] ||
        { cat "$reports/$name.log" >&2; die "AppInspect ($name) ended with $status and wrote no report"; }
    "$venv/bin/python" -c '
import json, sys

name, path = sys.argv[1:]
report = json.load(open(path, encoding="utf-8"))
summary = report["summary"]
print("%-17s %s" % (name, ", ".join("%s %d" % (k, summary[k]) for k in sorted(summary))))
told = set()
for group in report["reports"][0]["groups"]:
    for check in group["checks"]:
        if check["result"] in ("warning", "failure", "error", "future_failure", "manual_check"):
            for message in check["messages"]:
                line = "  %s %s: %s" % (check["result"], check["name"], " ".join(message["message"].split()))
                if line not in told:
                    told.add(line)
                    print(line)
# A tag that AppInspect does not know runs a dozen checks and passes; packaging faults skip the rest.
if sum(summary.values()) < 50:
    sys.exit("  only %d checks ran: the tag is unknown or the package could not be read" % sum(summary.values()))
sys.exit(any(summary[k] for k in ("failure", "error", "future_failure")))
' "$name" "$reports/$name.json"
}

# The page in headless Chromium, against the stand-in of Splunk Web. Any further word is handed to the tests.
web_tests() {
    need chromium "on Debian: apt-get install chromium"
    cargo build --locked --package ta-defender --bin defender
    cargo build --locked --package simulator --bin simulator
    TARGET=$target/debug node --test --test-concurrency=1 tests/web/*.test.mjs
}

# What the peers need, in folders under target/. Sets `arguments`; a peer that cannot be had is left out, with the reason.
peers() {
    local scripts=${TA_DEFENDER_SHARED:-$root/../shared}/bench folder=$target/bench/peers python=$target/bench/venv reason
    if [[ ! -f $scripts/peer_a.py ]]; then
        arguments+=(--no-peers "all peers: their scripts are in a folder beside the repository, ../shared/bench, which is absent.")
        return
    fi
    # Copied, since they look for their libraries beside themselves.
    mkdir -p "$folder/scripts" "$folder/peerC"
    cp "$scripts"/{peer_a.py,peer_b.py,peer_c.js,config.xml.in,validate.xml} "$folder/scripts/"
    chmod -R u+w "$folder/scripts"
    arguments+=(--peers "$folder/scripts")

    if [[ ! -f $python/installed ]] || ! cmp -s "$python/installed" build/bench-requirements.txt; then
        say "Python peers into ${python#"$root"/}"
        if reason=$(python3 -m venv --clear "$python" 2>&1 &&
            "$python/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
                --no-binary splunk-sdk --requirement build/bench-requirements.txt 2>&1); then
            cp build/bench-requirements.txt "$python/installed"
        fi
    fi
    if [[ -f $python/installed ]]; then
        arguments+=(--python "$python/bin/python")
    else
        arguments+=(--no-peers "the Python peers: ${reason##*$'\n'}")
    fi

    # Later versions have no modular inputs.
    if [[ ! -d $folder/peerC/node_modules/splunk-sdk ]]; then
        say "JavaScript peer into ${folder#"$root"/}"
        reason=$(npm install --prefix "$folder/peerC" --no-audit --no-fund --loglevel=error --save-exact splunk-sdk@1.11.0 2>&1) || true
    fi
    if [[ -d $folder/peerC/node_modules/splunk-sdk ]] && command -v node >/dev/null; then
        arguments+=(--node "$(command -v node)")
    else
        arguments+=(--no-peers "the JavaScript peer: ${reason##*$'\n'}")
    fi
}

bench() {
    local arguments=() report=(--report "$root/BENCHMARKS.md") tables=(tee -a "$root/BENCHMARKS.md") option
    for option in "$@"; do
        if [[ $option == --quick ]]; then report=() tables=(cat); fi
    done
    need_rust
    say "Building the program for release, and the stand-ins"
    cargo build --locked --release --package ta-defender --bin defender --package download --bin download
    # Beside the other, which is measured: how much smaller it is.
    cargo build --locked --release --package ta-defender --bin defender --no-default-features --target-dir "$target/no-streaming"
    cargo build --locked --package simulator --bin bench --bin streaming --bin blobs
    peers
    say "Measuring"
    "$target/debug/bench" --program "$target/release/defender" \
        --no-streaming "$target/no-streaming/release/defender" --download "$target/release/download" \
        "${arguments[@]}" "${report[@]}" "$@"
    need_azure_clients
    arguments=(--program "$target/release/defender")
    if [[ -x $TA_DEFENDER_AZURE ]]; then arguments+=(--python "$TA_DEFENDER_AZURE"); fi
    local hub=() storage=()
    for option in "$@"; do
        if [[ $option == --quick ]]; then hub=(--messages 200 --blocked 3) storage=(--records 5000 --runs 1); fi
    done
    block "An event hub" "$target/debug/streaming" "${arguments[@]}" "${hub[@]}" | "${tables[@]}"
    block "A storage account" "$target/debug/blobs" "${arguments[@]}" "${storage[@]}" | "${tables[@]}"
}

# A section of BENCHMARKS.md: its heading, and what a program prints.
block() {
    printf '\n## %s\n\n```\n' "$1"
    shift
    "$@"
    printf '```\n'
}

# Microsoft's own clients of Event Hubs and Storage, for the tests of the stand-in and as peers. Without them the tests are
# skipped, and say so.
need_azure_clients() {
    local client=$target/azure wanted reason
    export TA_DEFENDER_AZURE=$client/bin/python
    wanted=$(printf '%s\n' "$client" && cat simulator/tests/python/requirements.txt)
    [[ -f $client/installed && $(<"$client/installed") == "$wanted" ]] && return
    say "Microsoft's clients of Event Hubs and Storage into ${client#"$root"/}"
    if reason=$(python3 -m venv --clear "$client" 2>&1 &&
        "$client/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
            --requirement simulator/tests/python/requirements.txt 2>&1); then
        printf '%s\n' "$wanted" >"$client/installed"
    else
        rm -rf "$client"
        printf 'They cannot be installed, and the tests that need them are skipped: %s\n' "${reason##*$'\n'}"
    fi
}

# Microsoft's stand-in for Storage, for the tests of the feed that reads it. Without it they are skipped, and say so.
need_azurite() {
    local folder=$target/azurite reason
    export TA_DEFENDER_AZURITE=$folder/node_modules/.bin/azurite-blob
    cmp -s "$folder/installed" build/azurite/package-lock.json && return
    say "Azurite into ${folder#"$root"/}"
    rm -rf "$folder"
    mkdir -p "$folder"
    cp build/azurite/package.json build/azurite/package-lock.json "$folder/"
    # None of its packages has to run a script to work, and it brings native parts that would be compiled.
    if reason=$(npm --prefix "$folder" ci --no-audit --no-fund --ignore-scripts --loglevel=error 2>&1); then
        cp "$folder/package-lock.json" "$folder/installed"
    else
        rm -rf "$folder"
        printf 'It cannot be installed, and the tests that need it are skipped: %s\n' "${reason%%$'\n'*}"
    fi
}

all_tests() {
    need_rust
    cargo fmt --version >/dev/null 2>&1 || die "rustfmt is missing: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || die "clippy is missing: rustup component add clippy"
    app_version >/dev/null
    mkdir -p "$target"
    say "Format"
    cargo fmt --all --check
    say "Lints"
    cargo clippy --locked --workspace --all-targets -- -D warnings
    # To compile, no more: they run with a nightly compiler, as fuzz/README.md says. The path stands in for libFuzzer's C++.
    CUSTOM_LIBFUZZER_PATH=/dev/null cargo clippy --locked --manifest-path fuzz/Cargo.toml --target-dir "$target/fuzz" -- -D warnings
    need_azure_clients
    need_azurite
    say "Tests"
    cargo test --locked --workspace 2>&1 | tee "$target/test.log"
    say "The page of Splunk Web"
    page
    npm --prefix app/ui run --silent check
    web_tests
    say "Documentation"
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --workspace
    inspect
    say "All passed"
    awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
        END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$target/test.log"
}

case ${1:-} in
    demo) shift; demo "$@" ;;
    bench) shift; bench "$@" ;;
    test | package | inspect)
        [[ $# -eq 1 ]] || { printf '%s\n' "$usage" >&2; exit 2; }
        if [[ $1 == test ]]; then all_tests; else "$1"; fi ;;
    -h | --help | help) printf '%s\n' "$usage" ;;
    *) printf '%s\n' "$usage" >&2; exit 2 ;;
esac
