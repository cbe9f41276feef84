#!/usr/bin/env bash
# Installs the real services that tests and benchmarks talk to, on Debian and its
# relatives. Quick when all is there. Services are installed, never started.
#
#   scripts/test-deps.sh test|check|bench
set -euo pipefail

# Debian keeps servers outside of an ordinary user's PATH.
PATH=$PATH:/usr/sbin:/sbin

# has COMMAND...: whether all of them can be run.
has() { for command; do command -v "$command" >/dev/null 2>&1 || return 1; done; }
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || has initdb; }
has_nginx_stream() { [ -e /usr/lib/nginx/modules/ngx_stream_module.so ]; }
has_nfs_vfs() { compgen -G '/usr/lib/*/ganesha/libfsalvfs.so' >/dev/null || compgen -G '/usr/lib/ganesha/libfsalvfs.so' >/dev/null; }

missing=()
need() { # need PACKAGE PROBE...
	local package=$1
	shift
	"$@" || missing+=("$package")
}

for_test() {
	need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
	need curl has curl
	need nginx-light has nginx
	need openssh-server has sshd
	need openssh-client has ssh ssh-keygen
	need postgresql has_postgres
	need postgresql-client has psql
	need nodejs has node
	need npm has npm
	need python3 has python3
	need openssl has openssl
	need iproute2 has ip
	need iptables has iptables
	need strace has strace
	need tinyproxy-bin has tinyproxy
	need slowhttptest has slowhttptest
	need samba has smbd
	need smbclient has smbclient
	need nfs-ganesha has ganesha.nfsd
	need nfs-ganesha-vfs has_nfs_vfs
	need libnfs-utils has nfs-cat
	need iperf3 has iperf3
	need dnsmasq-base has dnsmasq
	need bind9-dnsutils has dig
	need systemd has systemd-analyze
	need libnss3-tools has certutil
	need nsd has nsd
	need unbound has unbound
	need opensmtpd has smtpd
	has google-chrome || need chromium has chromium
}

for_check() {
	need gcc has cc # the race detector is C
	need libc6-dev test -e /usr/include/stdio.h
}

for_bench() {
	need nginx-light has nginx
	need libnginx-mod-stream has_nginx_stream
	need haproxy has haproxy
	need iproute2 has ip
	need procps has sysctl
}

case ${1-} in
test | check | bench) "for_$1" ;;
*)
	echo "usage: $0 test|check|bench" >&2
	exit 2
	;;
esac
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
	has sudo || {
		echo "please install as root: ${missing[*]}" >&2
		exit 1
	}
	as_root=(sudo)
fi
has apt-get || {
	echo "this machine has no apt-get; please install: ${missing[*]}" >&2
	exit 1
}

# Keeps packages from starting their services: tests start their own, on free ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
	"${as_root[@]}" chmod 755 $policy
	trap '"${as_root[@]}" rm -f $policy' EXIT
fi

echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
