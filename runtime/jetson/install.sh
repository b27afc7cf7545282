#!/usr/bin/env bash
# Installs clipspect and the engines that fit on a Jetson or a PC with an NVIDIA GPU, then checks them on a bundle.
# Safe to run again: what is there stays.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    cat <<'TEXT'
usage: install.sh [--bundle BUNDLE] [--venv DIR] [--results FILE] [--source SPEC] [--no-checks] [--dry-run]

Installs, on a Jetson with JetPack 6 or 7 or on a PC with an NVIDIA GPU:
  1. from NVIDIA's and Ubuntu's packages what is missing: JetPack's CUDA, cuDNN and TensorRT, python3-libnvinfer, venv
  2. a virtual environment with clipspect, the packages of requirements/box.txt by their hashes, and without hashes, for
     each CUDA has its own, onnxruntime-gpu and cuda-bindings; on a Jetson TensorRT's Python module is JetPack's own, on
     a PC it comes from PyPI
  3. unless --no-checks: doctor, compile, verify and bench on a bundle, with one results file

  --bundle BUNDLE  bundle folder, or the word "demo" (default: demo)
  --venv DIR       the environment (default: ~/clipspect-venv)
  --results FILE   what the checks leave (default: clipspect-results.json)
  --source SPEC    what pip installs as clipspect (default: the clone that this script is in)
  --no-checks      install only
  --dry-run        print each command instead of running it; elsewhere than on such a machine, those of each that is known
  --root DIR       with --dry-run: read the machine's files below DIR, e.g. a tree copied from another box
  --help           this text

Exit status: 0 done, 1 refused or a check failed, with a one-line reason, 2 usage.
TEXT
}

fail() {
    echo "install.sh: error: $*" >&2
    exit 1
}

misused() {
    echo "install.sh: $* (--help shows the options)" >&2
    exit 2
}

bundle=demo venv=${HOME:+$HOME/clipspect-venv} results=clipspect-results.json source=$(cd "$here/../.." && pwd)
locked=$(cd "$here/../.." && pwd)/requirements/box.txt # `make lock` writes it
checks=yes dry='' root=''
while [ $# -gt 0 ]; do
    case $1 in
        --bundle | --venv | --results | --source | --root)
            [ -n "${2:-}" ] || misused "$1 needs a value"
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        --no-checks) checks='' && shift ;;
        --dry-run) dry=yes && shift ;;
        --help | -h) usage && exit 0 ;;
        *) misused "unknown option: $1" ;;
    esac
done
[ -n "$venv" ] || misused "HOME is not set: name the environment with --venv"
[ -z "$root" ] || [ -n "$dry" ] || misused "--root is for --dry-run only"
root=${root%/}

# Runs a command, or prints it. In a dry run nothing else is done anywhere below.
run() {
    if [ -n "$dry" ]; then
        printf '%q ' "$@" | sed 's/ $//' && echo
    else
        "$@"
    fi
}

elsewhere='' # yes: this is another machine than the one whose commands are printed, and says nothing of what that has

# Whether dpkg has a package installed, not merely known or removed.
has_package() {
    [ -z "$elsewhere" ] && [ -r "$root/var/lib/dpkg/status" ] && awk -v wanted="Package: $1" '
        BEGIN { RS = ""; FS = "\n" }
        $1 == wanted && /\nStatus: [a-z]+ ok installed/ { found = 1 }
        END { exit !found }' "$root/var/lib/dpkg/status"
}

# --- which machine, and what fits ---

python='' packages=() wheels=() pip_options=() venv_options=()

# Sets the above for Jetson Linux $1, e.g. 36.
fit_jetson() {
    local version cuda index
    case $1 in
        36) version=3.10 cuda=12.6 index=https://pypi.jetson-ai-lab.io/jp6/cu126/+simple ;;
        38 | 39) version=3.12 cuda=13.0 index=https://pypi.jetson-ai-lab.io/sbsa/cu130/+simple ;;
        *) fail "Jetson Linux $1 is none of JetPack 6 (36) and 7 (38, 39): flash JetPack 6.2 or newer" ;;
    esac
    python=/usr/bin/python$version
    [ -n "$elsewhere" ] || [ -x "$root$python" ] || fail "$python is missing, which JetPack has: sudo apt-get install python$version"
    has_package libnvinfer10 || has_package libnvinfer11 || packages+=(nvidia-jetpack)
    has_package python3-libnvinfer || packages+=(python3-libnvinfer)
    has_package "python$version-venv" || packages+=("python$version-venv")
    wheels=(onnxruntime-gpu "cuda-bindings>=$cuda,<$((${cuda%.*} + 1))")
    pip_options=(--extra-index-url "$index")
    venv_options=(--system-site-packages) # TensorRT's module is the system's
}

# Sets the above for a PC with the NVIDIA driver $1, e.g. 550.120, and the Python $2, e.g. python3.10.
fit_pc() {
    local driver=${1%%.*} version=${2##*python3.} cuda onnxruntime
    python=/usr/bin/python3
    [[ $version =~ ^[0-9]+$ && $version -ge 10 ]] || fail "$python is $2, and clipspect needs 3.10 or newer"
    # onnxruntime-gpu has CUDA 12 up to 1.26 and CUDA 13, with Python 3.11, from 1.27
    if [ "$driver" -ge 580 ] && [ "$version" -ge 11 ]; then
        cuda=13 onnxruntime=">=1.27"
    elif [ -z "$elsewhere" ] && grep -q '^CPU implementer' "$root/proc/cpuinfo" 2>/dev/null; then
        fail "64-bit Arm with the driver $1 and $2, where onnxruntime-gpu needs a driver from 580 and Python from 3.11:" \
            "update them"
    elif [ "$driver" -ge 525 ]; then
        cuda=12 onnxruntime=">=1.18,<1.27"
    else
        fail "the driver is $1, and CUDA 12 needs 525 or newer: sudo ubuntu-drivers install, then restart"
    fi
    has_package "python3.$version-venv" || packages+=("python3.$version-venv")
    wheels=("onnxruntime-gpu[cuda,cudnn]$onnxruntime" "tensorrt-cu$cuda>=10.3" "cuda-bindings>=$cuda,<$((cuda + 1))")
}

# Fits what is here; false where it is no such machine.
recognise() {
    local release smi driver link
    if [ -r "$root/etc/nv_tegra_release" ]; then
        release=$(sed -n '1s/^# R\([0-9]*\) (release), REVISION: .*/\1/p' "$root/etc/nv_tegra_release")
        [ -n "$release" ] || fail "/etc/nv_tegra_release does not say which Jetson Linux this is: reinstall nvidia-l4t-core"
        fit_jetson "$release"
        return
    fi
    smi=$root/usr/bin/nvidia-smi
    if [ -z "$root" ]; then smi=$(command -v nvidia-smi || true); fi
    driver=$("$smi" --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1) || driver=''
    [[ $driver =~ ^[0-9]+\. ]] || return 1
    link=$(readlink -f "$root/usr/bin/python3") || fail "no /usr/bin/python3: sudo apt-get install python3"
    fit_pc "$driver" "${link##*/}"
}

# --- the steps ---

install_packages() {
    local as_root=()
    [ ${#packages[@]} -gt 0 ] || return 0
    if [ "$EUID" -ne 0 ]; then
        [ -n "$dry" ] || command -v sudo >/dev/null || fail "sudo is missing: run this as root"
        as_root=(sudo)
    fi
    run "${as_root[@]}" apt-get update || fail "apt-get update failed: see its lines above"
    run "${as_root[@]}" apt-get install -y --no-install-recommends "${packages[@]}" ||
        fail "apt-get could not install ${packages[*]}: see its lines above"
}

made='' # the environment, where this run made it
discard_half() {
    local status=$?
    if [ -n "$made" ] && [ "$status" -ne 0 ]; then
        rm -rf -- "$made"
    fi
}
trap discard_half EXIT

# Whether an environment that was there before can take what fits here.
check_environment() {
    "$venv/bin/python" -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)' ||
        fail "$venv is no working environment: remove it, or name another with --venv"
    [ ${#venv_options[@]} -gt 0 ] || return 0
    [ -x "$venv/bin/${python##*/}" ] ||
        fail "$venv is not of ${python##*/}, for which NVIDIA builds: remove it, or name another with --venv"
    grep -q '^include-system-site-packages = true' "$venv/pyvenv.cfg" ||
        fail "$venv does not see the system's TensorRT: remove it, or name another with --venv"
}

install_clipspect() {
    if [ -z "$elsewhere" ] && [ -x "$venv/bin/python" ]; then
        check_environment
    else
        [ -n "$elsewhere" ] || [ ! -e "$venv" ] || fail "$venv exists and is no environment: name another with --venv"
        [ -n "$dry" ] || made=$venv
        run "$python" -m venv "${venv_options[@]}" "$venv" || fail "no environment could be made in $venv: see above"
    fi
    # packages of the user's own must not count as installed
    run env PYTHONNOUSERSITE=1 "$venv/bin/python" -m pip install --require-hashes -r "$locked" ||
        fail "pip could not install the packages of $locked: see its lines above"
    run env PYTHONNOUSERSITE=1 "$venv/bin/python" -m pip install "${pip_options[@]}" "$source" "${wheels[@]}" ||
        fail "pip could not install clipspect and its engines: see its lines above"
    made=''
}

set_up() {
    install_packages
    install_clipspect
    [ -z "$checks" ] || run "$venv/bin/python" "$here/check.py" --bundle "$bundle" --results "$results"
}

# Prints what would be run on a machine as it was set up by NVIDIA or Ubuntu: its name, and how it is fitted.
show() {
    echo "# $1"
    packages=() wheels=() pip_options=() venv_options=()
    "${@:2}"
    set_up
}

[ "$bundle" = demo ] || [ -f "$bundle/bundle.json" ] || fail "$bundle: no bundle.json there; expected a bundle, or demo"
if recognise; then
    set_up
    exit
fi
nowhere="neither a Jetson (/etc/nv_tegra_release) nor a working NVIDIA driver (nvidia-smi) is here"
if [ -z "$dry" ] || [ -n "$root" ]; then fail "$nowhere: for the CPU, pip install \"${source}[cpu]\""; fi
echo "install.sh: $nowhere: these are the commands of each machine that is known, where all is missing" >&2
elsewhere=yes
show "a Jetson with JetPack 6" fit_jetson 36
show "a Jetson with JetPack 7" fit_jetson 38
show "a PC, driver from 580 and Python from 3.11" fit_pc 580.65 python3.12
show "a PC, driver from 525" fit_pc 525.60 python3.10
