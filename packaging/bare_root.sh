#!/usr/bin/env bash
# bare_root.sh DIRECTORY [libc]: a root file system with nothing but what the distribution calls essential, for tests of
# the executable. It is Debian's minbase, from the mirror that this machine's own packages come from; where that can't
# be had, or with `libc`, only the C library and a shell. Prints which it is.
set -euo pipefail
root=$1
if [ -e "$root/made" ]; then
    cat "$root/made"
    exit
fi
rm -rf "$root" && mkdir -p "$root"
if [ "${2:-}" != libc ]; then
    if ! command -v debootstrap >/dev/null; then
        (apt-get update -qq && apt-get install -y -qq debootstrap) >/dev/null 2>&1 || true
    fi
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    mirror=$(apt-get indextargets --format '$(SITE)' "Codename: $codename" 2>/dev/null | head -n 1 || true)
    if [ -n "$mirror" ] && debootstrap --variant=minbase "$codename" "$root" "$mirror" >"$root.log" 2>&1; then
        rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
        echo "debootstrap --variant=minbase $codename" >"$root/made"
    else
        rm -rf "$root"
    fi
fi
if [ ! -e "$root/made" ]; then
    mkdir -p "$root"/{bin,dev,etc,proc,root,tmp}
    chmod 1777 "$root/tmp"
    cp -L "$(command -v bash)" "$root/bin/sh"
    libc=$(dirname "$(ldd /bin/sh | grep -o '/[^ ]*libc\.so\.6')")
    for library in $(ldd "$root/bin/sh" | grep -o '/[^ ]*') "$libc"/lib{m,dl,rt,pthread}.so.?; do
        mkdir -p "$root$(dirname "$library")" && cp -L "$library" "$root$library"
    done
    printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
    echo "the C library and a shell" >"$root/made"
fi
cat "$root/made"
