# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# An XMPP server (prosody) on a host of the internet, and real clients for the
# subscribers (xmpp_client.py). For scripts that have sourced net.sh.

XMPP_SERVER=198.51.100.11
XMPP_PORT=5222

xmpp_here() {
	command -v prosody >/dev/null || skip "no prosody: tools/deps.sh test"
	/usr/bin/python3 -c 'import slixmpp' 2>/dev/null || skip "no python3-slixmpp: tools/deps.sh test"
}

# xmpp_server USER...: with these accounts, and the certificate that their clients want for STARTTLS
xmpp_server() {
	local home=$DIR/xmpp user
	mkdir -p "$home/data/xmpp%2etest/accounts"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=xmpp.test \
		-addext subjectAltName=DNS:xmpp.test -keyout "$home/key.pem" -out "$home/certificate.pem" 2>/dev/null
	cat >"$home/prosody.cfg.lua" <<-END
		pidfile = "$home/prosody.pid"
		data_path = "$home/data"
		interfaces = { "$XMPP_SERVER" }
		modules_enabled = { "roster", "saslauth", "tls", "disco", "ping" }
		modules_disabled = { "s2s", "offline" }
		authentication = "internal_plain"
		c2s_require_encryption = true
		ssl = { key = "$home/key.pem", certificate = "$home/certificate.pem" }
		log = { info = "$home/prosody.log" }
		VirtualHost "xmpp.test"
	END
	for user in "$@"; do
		echo 'return { ["password"] = "secret" };' >"$home/data/xmpp%2etest/accounts/$user.dat"
	done
	chown -R prosody:prosody "$home"
	spawn in_ns "$INET" setpriv --reuid=prosody --regid=prosody --clear-groups \
		prosody -F --config "$home/prosody.cfg.lua" >"$DIR/prosody.out" 2>&1
	eventually "the XMPP server listens" 15 listens "$INET" $XMPP_PORT
}

# xmpp ARGUMENTS as of xmpp_client.py, without the server; in the subscribers' namespace
xmpp() {
	in_sub /usr/bin/python3 -W ignore "$ROOT/selftests/lib/xmpp_client.py" $XMPP_SERVER "$@" \
		--certificate "$DIR/xmpp/certificate.pem"
}

# count_payload NAMESPACE NAME MATCH: packets that arrive and have TCP payload; an ACK alone is as long as its headers say
count_payload() {
	local n acks=""
	count_table "$1"
	for ((n = 5; n <= 15; n++)); do
		acks+="add rule inet count payload_$2 tcp doff $n ip length $((20 + 4 * n)) return;"
	done
	in_ns "$1" nft "add counter inet count $2; add chain inet count payload_$2; $acks
		add rule inet count payload_$2 counter name $2; add rule inet count in $3 jump payload_$2"
}
