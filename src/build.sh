# shellcheck shell=bash disable=SC2034
# What viewer/run and tests/run share: getting the packages, and building. Sourced by them, after `set -euo pipefail`.
#
#   need_packages NAME…          installs those that are missing, with apt-get, saying which (Debian, Ubuntu);
#                                elsewhere names them and goes on
#   configure PRESET             the first time says what comes from where, later only what is left out
#   build PRESET [TARGET…]
#   die LINE…                    the lines on stderr, then exit 2
#
# LASTROW_APT=no in the environment: nothing is installed, CMake is asked to do with what there is.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What the library and the viewer are built from. CMake can fetch some of it (src/dependencies.cmake), never the first four.
tool_packages=(cmake ninja-build g++ pkg-config)
build_packages=("${tool_packages[@]}" libeigen3-dev libfmt-dev nlohmann-json3-dev libcli11-dev doctest-dev
  libboost-context-dev libglfw3-dev libimgui-dev libgl-dev libgl1-mesa-dri libstb-dev fonts-dejavu-core)
# What the tests need on top: a display that is not there, someone to press its keys, a clock, a formatter.
test_packages=(xvfb xdotool libbenchmark-dev clang-format-14)

say() { printf '== %s\n' "$*"; }
die() {
  printf '%s\n' "$@" >&2
  exit 2
}

# missing_packages NAME… : those that dpkg does not hold as installed, one a line
missing_packages() {
  local held
  held=$(dpkg-query -W -f '${Package}:${db:Status-Status}\n' "$@" 2>/dev/null || true)
  local name
  for name in "$@"; do [[ $'\n'$held$'\n' == *$'\n'"$name:installed"$'\n'* ]] || printf '%s\n' "$name"; done
}

# as_root COMMAND… : through sudo only where it is needed
as_root() {
  if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$install_log" 2>&1
}

need_packages() {
  [[ ${LASTROW_APT:-yes} == no ]] && return
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    local tool absent=()
    for tool in cmake ninja c++; do command -v "$tool" >/dev/null || absent+=("$tool"); done
    [[ ${#absent[@]} -eq 0 ]] || die "lastrow: this system has no apt-get, and lacks: ${absent[*]}" \
      "Install what corresponds to Debian's packages: $*" "and start again."
    [[ -e $root/build/CMakeCache.txt ]] || say "No apt-get here, so nothing is installed. Debian's names of what is used: $*"
    return
  fi
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -eq 0 ]] && return

  local by_hand="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if [[ $EUID -ne 0 ]] && ! sudo -n true 2>/dev/null; then
    command -v sudo >/dev/null || die "lastrow: these packages are missing, and there is no sudo to install them: ${missing[*]}" \
      "As root: $by_hand" "Or, to go on with what there is: LASTROW_APT=no $0"
    [[ -t 0 ]] || die "lastrow: these packages are missing, and sudo would ask for a password: ${missing[*]}" \
      "Run: sudo sh -c '$by_hand'" "Or, to go on with what there is: LASTROW_APT=no $0"
  fi
  say "Installing with apt-get, which may take a few minutes: ${missing[*]}"
  install_log=$(mktemp -t lastrow-install.XXXXXX)
  if ! apt_install "${missing[@]}"; then
    say "Not found or out of date; updating the package lists and trying again"
    as_root apt-get update -q -o DPkg::Lock::Timeout=300 </dev/null >>"$install_log" 2>&1 || true
    local name known=() unknown=()
    for name in "${missing[@]}"; do
      if [[ -n $(apt-cache madison "$name" 2>/dev/null) ]]; then known+=("$name"); else unknown+=("$name"); fi
    done
    if [[ ${#known[@]} -eq 0 ]] || ! apt_install "${known[@]}"; then
      tail -n 15 "$install_log" >&2
      die "lastrow: apt-get could not install: ${missing[*]}" "Everything it said: $install_log" \
        "By hand, as root: $by_hand"
    fi
    [[ ${#unknown[@]} -eq 0 ]] || say "This system does not offer: ${unknown[*]}; going on without"
  fi
  rm -f "$install_log"
  for name in "${tool_packages[@]}"; do
    [[ -z $(missing_packages "$name") ]] || die "lastrow: cannot build without $name" "As root: $by_hand"
  done
}

# One compiler for each core, but never more than memory holds at 1.5 GiB each.
jobs_that_fit() {
  local cores kib limit
  cores=$(getconf _NPROCESSORS_ONLN)
  kib=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo 2>/dev/null || true)
  limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || true)
  [[ $limit =~ ^[0-9]+$ ]] && ((limit / 1024 < ${kib:-0})) && kib=$((limit / 1024))
  local fit=$((${kib:-$((cores * 1572864))} / 1572864))
  ((fit < 1)) && fit=1
  echo $((fit < cores ? fit : cores))
}

build_dir() {
  if [[ $1 == default ]]; then echo "$root/build"; else echo "$root/build-$1"; fi
}

configure() {
  local preset=$1 dir log lines='/left out/'
  dir=$(build_dir "$preset")
  log=$dir/configure.log
  [[ -e $dir/build.ninja ]] || lines='' # all that CMake says of us, the first time
  mkdir -p "$dir"
  if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
  if ! (cd "$root" && cmake --preset "$preset") >"$log" 2>&1; then
    cat "$log" >&2
    die "lastrow: CMake could not configure; what it said is above. Remove $dir to start afresh."
  fi
  sed -n "${lines}s/^-- lastrow: /   /p" "$log"
}

build() {
  local dir jobs targets=()
  dir=$(build_dir "$1")
  shift
  [[ $# -eq 0 ]] || targets=(--target "$@")
  jobs=$(jobs_that_fit)
  say "Building into ${dir#"$root"/}/, $jobs files at a time"
  cmake --build "$dir" --parallel "$jobs" "${targets[@]}" </dev/null ||
    die "lastrow: the build failed; the first error is above."
}
