#!/usr/bin/env bash
# Set up all that `make` needs, once: a virtual environment in .venv and, where missing, Debian's compilers
# and QEMU. Usage: tools/setup.sh EXTRAS ("train" for the demo, "dev,ray" for the tests).
set -euo pipefail
cd "$(dirname "$0")/.."
extras="${1:-train}"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

python=""
for candidate in python3.11 python3.12 python3.13 python3.10 python3; do
  if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'; then
    python="$candidate"; break
  fi
done

packages=()
need() { command -v "$1" >/dev/null || packages+=("${@:2}"); }
need gcc gcc
need g++ g++
need arm-none-eabi-g++ gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib
need qemu-system-arm qemu-system-arm
case ",$extras," in *,dev,*) need chromium chromium ;; esac  # pages are opened by the tests
case ",$extras," in *,dev,*)  # the suite compiles for other cores, emulates them, and has another compiler, too: 165 MB
  need riscv64-unknown-elf-g++ gcc-riscv64-unknown-elf
  need xtensa-lx106-elf-g++ gcc-xtensa-lx106
  need qemu-system-riscv32 qemu-system-misc
  need qemu-system-xtensa qemu-system-misc
  need clang++ clang
  need cmake cmake ;;
esac
[ -n "$python" ] || packages+=(python3.11)
"${python:-false}" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3.11-venv)
if [ "${#packages[@]}" -gt 0 ]; then
  echo "Installing from Debian: ${packages[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
[ -n "$python" ] || python=python3.11

# The versions that the suite ran with; they are of Python 3.11.
pins() { .venv/bin/python -c 'import sys; print("-c constraints.txt" * (sys.version_info[:2] == (3, 11)))'; }

# The venv is current when it was made from these very files with at least these extras.
stamp=".venv/installed-$(cat pyproject.toml constraints.txt tools/setup.sh | sha256sum | cut -c1-16)-${extras//,/-}"
if [ ! -e "$stamp" ]; then
  echo "Installing Python packages into .venv (a few minutes the first time)"
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install -q --disable-pip-version-check $(pins) -e ".${extras:+[$extras]}"
  touch "$stamp"
fi
