/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts as syslog messages (RFC 5424), each a datagram to a Unix socket or by UDP (RFC 5426).
 * Sending never waits: what a receiver does not take at once is lost to it, and counted.
 */
#ifndef SL_IDS_SYSLOG_H
#define SL_IDS_SYSLOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "ids/alert.h"

/* Of one message; what does not fit is left out at the end. RFC 5426 clause 3.2 wants receivers to take it.
 */
#define SL_IDS_SYSLOG_SIZE 2048

struct sl_ids_syslog;

/* The message after the header: structured data, or none and a CEF line (ids/cef.h) as text. */
enum sl_ids_syslog_form {
	SL_IDS_SYSLOG_STRUCTURED,
	SL_IDS_SYSLOG_CEF,
};

/* "unix:/dev/log", "udp:192.0.2.1:514", "udp:[2001:db8::1]:514"; -EINVAL. Nobody has to listen yet. */
int sl_ids_syslog_open(const char *target, enum sl_ids_syslog_form form, struct sl_ids_syslog **out,
		       struct sl_error *err);
void sl_ids_syslog_close(struct sl_ids_syslog *syslog);

/* `now`: monotonic ns; after a failure it is tried again a second later at the soonest. */
void sl_ids_syslog_send(struct sl_ids_syslog *syslog, const struct sl_ids_alert *alert, uint64_t now);
void sl_ids_syslog_stats(const struct sl_ids_syslog *syslog, uint64_t *sent, uint64_t *failed);

/* Pure: the message, its length without NUL. */
size_t sl_ids_syslog_format(const struct sl_ids_alert *alert, enum sl_ids_syslog_form form, const char *host,
			    unsigned int pid, char out[SL_IDS_SYSLOG_SIZE]);

#endif
