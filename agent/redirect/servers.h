/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of the hosts that rules redirect to: asked of the name servers
 * (A and AAAA, RFC 1035, RFC 3596) without waiting, and again when their time to
 * live is over. A failed look-up is tried again, later each time; what was
 * answered before stays valid until a new answer takes its place, and is held
 * open for a while then (addresses.h).
 */
#ifndef SL_REDIRECT_SERVERS_H
#define SL_REDIRECT_SERVERS_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "policy/redirect.h"
#include "redirect/addresses.h"

#define SL_SERVERS_HOSTS       1024 /* one more: its rule fails */
#define SL_SERVERS_TTL_MIN_S   5    /* a shorter time to live counts as this */
#define SL_SERVERS_TTL_MAX_S   3600 /* a longer one as this */
#define SL_SERVERS_RETRY_MIN_S 1    /* after a failure; doubled by each further one */
#define SL_SERVERS_RETRY_MAX_S 60
#define SL_SERVERS_NAMESERVERS 4

struct sl_servers_config {
	struct event_base *base;
	/* "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:5353"; none: those of /etc/resolv.conf */
	char nameserver[SL_SERVERS_NAMESERVERS][64];
	unsigned int nameserver_count;
	uint32_t hold_min_s;				 /* 0: SL_SERVERS_HOLD_MIN_S */
	void (*on_change)(const char *host, void *user); /* others of its addresses are open now */
	void *user;
};

struct sl_servers;

/* -EINVAL names a nameserver that is none. No nameserver at all is no error: nothing resolves then. */
int sl_servers_new(const struct sl_servers_config *config, struct sl_servers **out, struct sl_error *err);
void sl_servers_free(struct sl_servers *servers);

/*
 * The addresses of a host that are open now, held ones too, in ascending order,
 * IPv4 first; none for one that was not known: its look-up begins with this
 * call. -ENOSPC.
 */
int sl_servers_get(struct sl_servers *servers, const char *name, struct sl_address *out, size_t max,
		   size_t *count, struct sl_error *err);

/* What an earlier run knew: valid until the first answer. As sl_servers_get otherwise. */
int sl_servers_seed(struct sl_servers *servers, const char *name, const struct sl_address *addresses,
		    size_t count, struct sl_error *err);

/* A rule still redirects to the host. Those not marked between two sweeps are forgotten by the second. */
void sl_servers_mark(struct sl_servers *servers, const char *name);
void sl_servers_sweep(struct sl_servers *servers);

struct sl_server_view {
	const char *host;
	const struct sl_addresses *open;
	uint64_t now_ns;      /* by which `open` is to be read */
	const char *error;    /* of the last look-up; NULL: it went well, or is the first one */
	uint32_t failures;    /* one after the other */
	uint64_t next_try_ms; /* from now; 0: it is under way */
};
void sl_servers_each(struct sl_servers *servers, void (*visit)(const struct sl_server_view *view, void *user),
		     void *user);

#endif
