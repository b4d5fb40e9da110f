#!/usr/bin/env bash
# A machine for a test: systemd as PID 1 of namespaces of its own, on an overlay over this machine's file system. What it
# installs, writes or mounts is gone with it. Needs root.
#
#   boot.sh start FOLDER NAME    becomes that machine; FOLDER is an empty one, NAME names its control groups
#   boot.sh inside FOLDER        the same, once inside the namespaces
#   boot.sh remove NAME          removes the control groups of one that has ended
set -euo pipefail

# Every mounted control-group hierarchy, as "mount point, type, options".
hierarchies() {
    awk '{ at = $5; sub(/.* - /, ""); if ($1 ~ /^cgroup2?$/) print at, $1, $3 }' /proc/self/mountinfo
}

start() {
    local at
    while read -r at _; do
        mkdir "$at/$2"
        # A new cpuset is empty, and nothing can run in it.
        if [ -e "$at/cpuset.mems" ]; then
            cat "$at/cpuset.mems" >"$at/$2/cpuset.mems"
            cat "$at/cpuset.cpus" >"$at/$2/cpuset.cpus"
        fi
        echo $$ >"$at/$2/cgroup.procs"
    done < <(hierarchies)
    # Ends with whoever started it.
    exec setpriv --pdeathsig KILL \
        unshare --mount --pid --uts --ipc --cgroup --net --fork --kill-child "$0" inside "$1"
}

inside() {
    local root=$1/root at type options device name
    mount --make-rprivate /
    mount -t tmpfs tmpfs "$1"
    mkdir "$1/upper" "$1/work" "$root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys" -o ro
    mount -t tmpfs tmpfs "$root/run" -o mode=755
    mount -t tmpfs tmpfs "$root/dev" -o mode=755
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/shm" "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm" -o mode=1777
    mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
        mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    else
        mount -t tmpfs tmpfs "$root/sys/fs/cgroup" -o mode=755
        while read -r at type options; do
            name=${at##*/}
            mkdir "$root/sys/fs/cgroup/$name"
            case $type,$options in
                cgroup2,*) mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/$name" ;;
                *name=*) mount -t cgroup cgroup -o "none,name=$name" "$root/sys/fs/cgroup/$name" ;;
                *) mount -t cgroup cgroup -o "${options#rw,}" "$root/sys/fs/cgroup/$name" ;;
            esac
        done < <(hierarchies)
    fi
    # Nothing of this machine's own services.
    rm -rf "$root"/etc/systemd/system/*
    # What keeps a container's packages from starting services: this is no container.
    rm -f "$root/usr/sbin/policy-rc.d"
    printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' \
        >"$root/etc/systemd/system/leukd-test.target"
    mkdir "$root/.before"
    cd "$root"
    pivot_root . .before
    cd /
    umount -l /.before
    rmdir /.before
    # As on any machine that systemd has booted: what is mounted later appears in the services' namespaces too.
    mount --make-rshared /
    exec env -i container=leukd-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        /lib/systemd/systemd --unit=leukd-test.target --log-target=console --log-level=warning --show-status=no
}

remove() {
    local at tries
    while read -r at _; do
        for tries in $(seq 100); do
            find "$at/$1" -depth -type d -exec rmdir {} + 2>/dev/null && break
            [ -e "$at/$1" ] || break
            sleep 0.1
        done
    done < <(hierarchies)
}

case $1 in
    start) start "$2" "$3" ;;
    inside) inside "$2" ;;
    remove) remove "$2" ;;
esac
