// SPDX-License-Identifier: Apache-2.0
#include "ids/syslog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "ids/cef.h"
#include "ids/eve.h"

#define RETRY_NS      1000000000ull
#define FACILITY_AUTH 4
#define HOST_SIZE     256 /* RFC 5424 clause 6: HOSTNAME */

struct sl_ids_syslog {
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t to_size;
	enum sl_ids_syslog_form form;
	int fd;
	uint64_t retry_ns;
	uint64_t sent, failed;
	char host[HOST_SIZE];
};

/* --- messages ---------------------------------------------------------------------------------- */

struct text {
	char *at;
	size_t used, size; /* size leaves room for the NUL */
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text->at + text->used, text->size - text->used + 1, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	text->used += (size_t)n;
	if (text->used > text->size)
		text->used = text->size;
}

/* A parameter goes in whole or not at all, so that the element ends as it must. Clause 6.3.3: \" \\ \] */
static void put_param(struct text *text, const char *name, const char *value)
{
	size_t room = text->size - text->used, wanted = strlen(name) + 4;

	for (const char *at = value; at && *at; at++)
		wanted += 1 + (strchr("\"\\]", *at) != NULL);
	if (!value || !value[0] || wanted > room)
		return;
	put(text, " %s=\"", name);
	for (const char *at = value; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (strchr("\"\\]", *at))
			text->at[text->used++] = '\\';
		/* values are UTF-8 by the clause, and lines are what many receivers make of them */
		if (c < 0x20 || c >= 0x7f)
			text->at[text->used++] = '?';
		else
			text->at[text->used++] = *at;
	}
	text->at[text->used++] = '"';
	text->at[text->used] = '\0';
}

static void put_number(struct text *text, const char *name, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	put_param(text, name, digits);
}

static void put_packet(struct text *text, const struct sl_ids_alert *alert)
{
	int family = alert->family == 6 ? AF_INET6 : AF_INET;
	char address[INET6_ADDRSTRLEN], protocol[8];

	if (!alert->family)
		return;
	put_param(text, "src_ip", inet_ntop(family, alert->source, address, sizeof(address)));
	put_number(text, "src_port", alert->source_port);
	put_param(text, "dest_ip", inet_ntop(family, alert->destination, address, sizeof(address)));
	put_number(text, "dest_port", alert->destination_port);
	put_param(text, "proto", sl_ids_protocol_name(alert->protocol, protocol));
	put_param(text, "in_iface", alert->interface);
	put_param(text, "direction", alert->direction == SLUICE_UPLINK ? "uplink" : "downlink");
}

static void put_own(struct text *text, const struct sl_ids_alert *alert)
{
	char until[SL_IDS_TIME_TEXT];

	put_number(text, "sequence", alert->sequence);
	put_param(text, "rule", alert->rule);
	put_number(text, "signature_id", alert->signature);
	put_number(text, "severity", alert->severity);
	put_param(text, "category", alert->category);
	put_param(text, "action", alert->action);
	put_param(text, "verdict", alert->verdict);
	put_param(text, "observe", alert->observe ? "true" : "");
	put_param(text, "subscriber", alert->imsi);
	put_param(text, "session", alert->session_address);
	put_param(text, "apn", alert->apn);
	put_param(text, "pcc_rule", alert->pcc_rule);
	put_param(text, "track", alert->track);
	put_param(text, "key", alert->key);
	put_param(text, "count", alert->count);
	if (alert->limit)
		put_number(text, "limit", alert->limit);
	if (alert->window_ns)
		put_number(text, "window_ms", alert->window_ns / 1000000);
	put_param(text, "kind", alert->kind);
	put_number(text, "observed", alert->observed);
	put_number(text, "level", alert->level);
	if (alert->until_ns)
		put_param(text, "until", sl_ids_time_format(alert->until_ns, until));
	put_param(text, "reason", alert->reason);
	put_number(text, "suppressed", alert->suppressed);
	if (alert->type == SL_IDS_ALERT_UNBLOCK) {
		put_number(text, "hit_packets", alert->hits.packets);
		put_number(text, "hit_bytes", alert->hits.bytes);
	}
	if (alert->flow_id)
		put_number(text, "flow_id", alert->flow_id);
	put_packet(text, alert);
}

/* Critical for a rule of severity 1 to notice for one of 4; what ends is informational. */
static unsigned int severity_of(const struct sl_ids_alert *alert)
{
	uint32_t severity = alert->severity < 1 ? 1 : alert->severity > 4 ? 4 : alert->severity;

	return alert->type == SL_IDS_ALERT_UNBLOCK ? 6 : severity + 1;
}

size_t sl_ids_syslog_format(const struct sl_ids_alert *alert, enum sl_ids_syslog_form form, const char *host,
			    unsigned int pid, char out[SL_IDS_SYSLOG_SIZE])
{
	/* the bracket that ends the element must find room */
	struct text text = {.at = out, .size = SL_IDS_SYSLOG_SIZE - 2};
	char time[SL_IDS_TIME_TEXT];

	put(&text, "<%u>1 %s %s sluice %u ids-%s ", FACILITY_AUTH * 8 + severity_of(alert),
	    sl_ids_time_format(alert->time_ns, time), host[0] ? host : "-", pid, sl_ids_event_name(alert));
	if (form == SL_IDS_SYSLOG_CEF) {
		put(&text, "- ");
		return text.used + sl_ids_cef_format(alert, out + text.used, SL_IDS_SYSLOG_SIZE - text.used);
	}
	put(&text, "[sluice@32473");
	put_own(&text, alert);
	text.size = SL_IDS_SYSLOG_SIZE - 1;
	put(&text, "] %s", alert->rule);
	if (alert->key[0])
		put(&text, ": %s", alert->key);
	for (size_t i = 0; i < text.used; i++)
		if ((unsigned char)out[i] < 0x20 || (unsigned char)out[i] >= 0x7f)
			out[i] = '?';
	return text.used;
}

/* --- the way there ------------------------------------------------------------------------------ */

static int parse_udp(const char *text, struct sl_ids_syslog *out)
{
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t length = colon ? (size_t)(colon - text) : 0;
	uint64_t port;

	if (!colon || length == 0 || length >= sizeof(host) || sl_parse_uint(colon + 1, &port) < 0 ||
	    port < 1 || port > 65535)
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		out->to.v6.sin6_family = AF_INET6;
		out->to.v6.sin6_port = htons((uint16_t)port);
		out->to_size = sizeof(out->to.v6);
		return inet_pton(AF_INET6, host + 1, &out->to.v6.sin6_addr) == 1 ? 0 : -EINVAL;
	}
	out->to.v4.sin_family = AF_INET;
	out->to.v4.sin_port = htons((uint16_t)port);
	out->to_size = sizeof(out->to.v4);
	return inet_pton(AF_INET, host, &out->to.v4.sin_addr) == 1 ? 0 : -EINVAL;
}

static int parse(const char *target, struct sl_ids_syslog *out, struct sl_error *err)
{
	const char *path = target + strlen("unix:");
	int rc = -EINVAL;

	if (strncmp(target, "udp:", 4) == 0) {
		rc = parse_udp(target + 4, out);
	} else if (strncmp(target, "unix:", 5) == 0 && path[0] == '/' &&
		   strlen(path) < sizeof(out->to.local.sun_path)) {
		out->to.local.sun_family = AF_UNIX;
		memcpy(out->to.local.sun_path, path, strlen(path) + 1);
		out->to_size = sizeof(out->to.local);
		rc = 0;
	}
	if (rc < 0)
		return sl_error(err, EINVAL,
				"bad value \"%s\"; allowed: unix:/PATH, udp:ADDRESS:PORT or "
				"udp:[ADDRESS]:PORT, numeric",
				target);
	return 0;
}

int sl_ids_syslog_open(const char *target, enum sl_ids_syslog_form form, struct sl_ids_syslog **out,
		       struct sl_error *err)
{
	_cleanup_free_ struct sl_ids_syslog *syslog = calloc(1, sizeof(*syslog));
	int rc;

	if (!syslog)
		return sl_error(err, ENOMEM, "out of memory");
	syslog->form = form;
	rc = parse(target, syslog, err);
	if (rc < 0)
		return rc;
	syslog->fd = socket(syslog->to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (syslog->fd < 0)
		return sl_error(err, errno, "syslog %s: no socket: %s", target, strerror(errno));
	/* names with bytes that a header cannot have (clause 6: PRINTUSASCII) are none */
	if (gethostname(syslog->host, sizeof(syslog->host) - 1) < 0 || strpbrk(syslog->host, " \t\n"))
		syslog->host[0] = '\0';
	*out = SL_TAKE(syslog);
	return 0;
}

void sl_ids_syslog_close(struct sl_ids_syslog *syslog)
{
	if (!syslog)
		return;
	close(syslog->fd);
	free(syslog);
}

void sl_ids_syslog_send(struct sl_ids_syslog *syslog, const struct sl_ids_alert *alert, uint64_t now)
{
	char message[SL_IDS_SYSLOG_SIZE];
	size_t length;

	if (now < syslog->retry_ns) {
		syslog->failed++;
		return;
	}
	length = sl_ids_syslog_format(alert, syslog->form, syslog->host, (unsigned int)getpid(), message);
	if (sendto(syslog->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT, &syslog->to.any,
		   syslog->to_size) == (ssize_t)length) {
		syslog->sent++;
		return;
	}
	syslog->failed++;
	/* a receiver that is full takes the next one, maybe; one that is not there will take a while */
	if (errno != EAGAIN && errno != ENOBUFS)
		syslog->retry_ns = now + RETRY_NS;
}

void sl_ids_syslog_stats(const struct sl_ids_syslog *syslog, uint64_t *sent, uint64_t *failed)
{
	*sent = syslog->sent;
	*failed = syslog->failed;
}
