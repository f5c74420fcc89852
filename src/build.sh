# shellcheck shell=bash disable=SC2034
# Functions for viewer/run and tests/run, which source this file after `set -euo pipefail`.
#
#   need_packages NAME…          installs the packages that are missing with apt-get, and says which (Debian, Ubuntu);
#                                on other systems only names them
#   configure PRESET [OPTION…]   runs CMake; the first time prints where each library came from, later only what is
#                                left out
#   build PRESET [TARGET…]       builds the targets, or everything
#   die LINE…                    prints the lines on stderr, then exits with status 2
#
# With LASTROW_APT=no in the environment nothing is installed, and CMake uses what there is.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The packages for the library and the viewer. CMake can fetch some of them (src/dependencies.cmake), but
# never the tools.
tool_packages=(cmake ninja-build g++ pkg-config)
build_packages=("${tool_packages[@]}" libeigen3-dev libhwy-dev libfmt-dev nlohmann-json3-dev libcli11-dev doctest-dev
  libboost-context-dev libglfw3-dev libimgui-dev libgl-dev libgl1-mesa-dri libstb-dev fonts-dejavu-core)
# More packages for the tests: a virtual display, a program that presses keys, benchmarks, random
# tests, a formatter.
test_packages=(xvfb xdotool libbenchmark-dev librapidcheck-dev clang-format-14)

say() { printf '== %s\n' "$*"; }
die() {
  printf '%s\n' "$@" >&2
  exit 2
}

# missing_packages NAME… : prints those that are not installed, one per line
missing_packages() {
  local held
  held=$(dpkg-query -W -f '${Package}:${db:Status-Status}\n' "$@" 2>/dev/null || true)
  local name
  for name in "$@"; do [[ $'\n'$held$'\n' == *$'\n'"$name:installed"$'\n'* ]] || printf '%s\n' "$name"; done
}

# as_root COMMAND… : uses sudo only if it is needed
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
    [[ ${#absent[@]} -eq 0 ]] || die "lastrow: this system has no apt-get, and these programs are missing: ${absent[*]}" \
      "Install the equivalents of these Debian packages: $*" "Then start again."
    [[ -e $root/build/CMakeCache.txt ]] || say "This system has no apt-get, so nothing is installed. The Debian packages that are needed: $*"
    return
  fi
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -eq 0 ]] && return

  local by_hand="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
  if [[ $EUID -ne 0 ]] && ! sudo -n true 2>/dev/null; then
    command -v sudo >/dev/null || die "lastrow: these packages are missing, and there is no sudo to install them: ${missing[*]}" \
      "As root, run: $by_hand" "Or continue without them: LASTROW_APT=no $0"
    [[ -t 0 ]] || die "lastrow: these packages are missing, and sudo would ask for a password: ${missing[*]}" \
      "Run: sudo sh -c '$by_hand'" "Or continue without them: LASTROW_APT=no $0"
  fi
  say "Installing with apt-get (this may take a few minutes): ${missing[*]}"
  install_log=$(mktemp -t lastrow-install.XXXXXX)
  if ! apt_install "${missing[@]}"; then
    say "Some packages were not found or are out of date; updating the package lists and trying again"
    as_root apt-get update -q -o DPkg::Lock::Timeout=300 </dev/null >>"$install_log" 2>&1 || true
    local name known=() unknown=()
    for name in "${missing[@]}"; do
      if [[ -n $(apt-cache madison "$name" 2>/dev/null) ]]; then known+=("$name"); else unknown+=("$name"); fi
    done
    if [[ ${#known[@]} -eq 0 ]] || ! apt_install "${known[@]}"; then
      tail -n 15 "$install_log" >&2
      die "lastrow: apt-get could not install: ${missing[*]}" "Its full output is in $install_log" \
        "As root, run: $by_hand"
    fi
    [[ ${#unknown[@]} -eq 0 ]] || say "This system does not offer these packages: ${unknown[*]}; continuing without them"
  fi
  rm -f "$install_log"
  for name in "${tool_packages[@]}"; do
    [[ -z $(missing_packages "$name") ]] || die "lastrow: cannot build without $name" "As root, run: $by_hand"
  done
}

# How many compilers to run at once: one per core, but no more than fit in memory at 1.5 GiB each.
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
  shift
  dir=$(build_dir "$preset")
  log=$dir/configure.log
  [[ -e $dir/build.ninja ]] || lines='' # the first time, print all lines about lastrow
  mkdir -p "$dir"
  if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
  if ! (cd "$root" && cmake --preset "$preset" "$@") >"$log" 2>&1; then
    cat "$log" >&2
    die "lastrow: CMake could not configure; its output is above. To start again from nothing, remove $dir."
  fi
  sed -n "${lines}s/^-- lastrow: /   /p" "$log"
}

build() {
  local dir jobs targets=()
  dir=$(build_dir "$1")
  shift
  [[ $# -eq 0 ]] || targets=(--target "$@")
  jobs=$(jobs_that_fit)
  say "Building in ${dir#"$root"/}/, $jobs files at a time"
  cmake --build "$dir" --parallel "$jobs" "${targets[@]}" </dev/null ||
    die "lastrow: the build failed; the first error is above."
}
