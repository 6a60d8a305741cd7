/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line an event on standard error, key=value, with the journal's priority
 * prefix (sd-daemon(3)) so that journald sorts it:
 *
 *	<6>level=info event=session-activated imsi=001010000000001 rules=4
 *
 * Values are quoted when they hold a space, a quote, an equals sign or
 * anything that is not printable ASCII; control bytes become \xNN, so a peer
 * can never forge a line.
 */
#ifndef SL_LOG_H
#define SL_LOG_H

enum sl_log_level { SL_LOG_ERROR, SL_LOG_WARNING, SL_LOG_INFO, SL_LOG_DEBUG };

void sl_log_set_level(enum sl_log_level level);
enum sl_log_level sl_log_level(void);

/*
 * sl_log(SL_LOG_INFO, "session-activated", "imsi", "%s", imsi, "rules", "%u", n, NULL):
 * the event's name, then triples of key, printf format of one value, that value.
 * Formats: %s %d %u %ld %lu %lld %llu %zu %x; anything else prints "?" and ends the line.
 */
void sl_log(enum sl_log_level level, const char *event, ...) __attribute__((sentinel));

#endif
