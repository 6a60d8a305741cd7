// SPDX-License-Identifier: Apache-2.0
#include "redirect/servers.h"

#include <errno.h>
#include <event2/dns.h>
#include <stdio.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define FAMILIES    2 /* A, AAAA */
#define NS_PER_MS   1000000ull

struct host;

/* One of the two look-ups of a host. */
struct query {
	struct host *host;
	bool pending;
	int result; /* DNS_ERR_* */
	uint32_t ttl;
	size_t count;
	struct sl_address addresses[SL_SERVERS_ADDRESSES];
};

struct host {
	char name[SL_REDIRECT_HOST_SIZE];
	struct sl_servers *servers;
	struct event *timer;
	uint64_t next_ns; /* of the timer */
	struct query query[FAMILIES];
	struct sl_addresses open;
	struct event *closing; /* when the next held address is closed */
	uint32_t failures;
	char error[96];
	unsigned int unmarked; /* sweeps since it was marked */
	bool gone;	       /* freed when its last query has ended */
	UT_hash_handle hh;
};

struct sl_servers {
	struct sl_servers_config config;
	struct evdns_base *dns;
	struct timespec conf_time; /* of the resolv.conf that was read */
	struct host *hosts;
};

/* --- name servers --------------------------------------------------------------- */

static void set_options(struct evdns_base *dns)
{
	evdns_base_set_option(dns, "timeout:", "2");
	evdns_base_set_option(dns, "attempts:", "2");
	/* how soon a server that did not answer is asked again */
	evdns_base_set_option(dns, "initial-probe-timeout:", "1");
}

static int set_nameservers(struct sl_servers *servers, struct sl_error *err)
{
	for (unsigned int i = 0; i < servers->config.nameserver_count; i++) {
		const char *text = servers->config.nameserver[i];

		if (evdns_base_nameserver_ip_add(servers->dns, text) != 0)
			return sl_error(err, EINVAL, "redirect.nameservers[%u]: '%s' cannot be used", i,
					text);
	}
	return 0;
}

/* The file may change while the agent runs, by DHCP for one. */
static void read_resolv_conf(struct sl_servers *servers)
{
	struct stat file;

	if (servers->config.nameserver_count > 0 || stat(RESOLV_CONF, &file) < 0)
		return;
	if (file.st_mtim.tv_sec == servers->conf_time.tv_sec &&
	    file.st_mtim.tv_nsec == servers->conf_time.tv_nsec)
		return;
	servers->conf_time = file.st_mtim;
	evdns_base_clear_nameservers_and_suspend(servers->dns);
	evdns_base_resolv_conf_parse(servers->dns, DNS_OPTION_NAMESERVERS, RESOLV_CONF);
	set_options(servers->dns);
	evdns_base_resume(servers->dns);
}

/* --- answers ---------------------------------------------------------------------- */

/* What an answer may open: no address of this host's own, of a link, or of a group. */
static bool is_server(const struct sl_address *address)
{
	const uint8_t *byte = address->bytes;
	struct in6_addr ip6;

	if (address->family == 4)
		return byte[0] != 0 && byte[0] != 127 && byte[0] < 224 && !(byte[0] == 169 && byte[1] == 254);
	memcpy(&ip6, byte, sizeof(ip6));
	return !IN6_IS_ADDR_UNSPECIFIED(&ip6) && !IN6_IS_ADDR_LOOPBACK(&ip6) &&
	       !IN6_IS_ADDR_MULTICAST(&ip6) && !IN6_IS_ADDR_LINKLOCAL(&ip6);
}

/* Adds what a family's look-up has brought; if it brought no answer, that of the last one stays. */
static void gather(const struct host *host, int i, struct sl_address *out, size_t *count)
{
	const struct query *query = &host->query[i];
	const uint32_t family = i == 0 ? 4 : 6;
	bool answered = query->result == DNS_ERR_NONE || query->result == DNS_ERR_NODATA ||
			query->result == DNS_ERR_NOTEXIST;
	const struct sl_address *from = answered ? query->addresses : host->open.address;
	const size_t available = answered ? query->count : host->open.count;

	/* half for each family, so that many addresses of one do not crowd out the other */
	for (size_t at = 0, taken = 0; at < available && taken < SL_SERVERS_ADDRESSES / FAMILIES; at++) {
		if (from[at].family != family || !is_server(&from[at]) ||
		    (!answered && host->open.held_until_ns[at]))
			continue;
		out[(*count)++] = from[at];
		taken++;
	}
}

static void arm(struct host *host, uint64_t after_s)
{
	struct timeval after = {.tv_sec = (time_t)after_s};

	host->next_ns = sl_now_ns() + after_s * 1000 * NS_PER_MS;
	event_add(host->timer, &after);
}

static void failed(struct host *host, const char *why)
{
	uint64_t after = SL_SERVERS_RETRY_MIN_S;

	for (uint32_t i = 0; i < host->failures && after < SL_SERVERS_RETRY_MAX_S; i++)
		after *= 2;
	if (after > SL_SERVERS_RETRY_MAX_S)
		after = SL_SERVERS_RETRY_MAX_S;
	host->failures++;
	snprintf(host->error, sizeof(host->error), "%s", why);
	sl_log(SL_LOG_WARNING, "redirect-server-unresolved", "host", "%s", host->name, "reason", "%s",
	       host->error, "known", "%zu", host->open.count, "retry_s", "%llu", (unsigned long long)after,
	       NULL);
	arm(host, after);
}

/* Others are open than before. */
static void changed(struct host *host)
{
	sl_log(SL_LOG_INFO, "redirect-server-resolved", "host", "%s", host->name, "addresses", "%zu",
	       host->open.count, NULL);
	host->servers->config.on_change(host->name, host->servers->config.user);
}

/* Also in vain: while the name servers are silent what they have withdrawn is closed all the same. */
static void arm_closing(struct host *host)
{
	uint64_t next = sl_addresses_next_ns(&host->open), now = sl_now_ns();
	/* up, so that it is over then */
	uint64_t ms = next > now ? (next - now) / NS_PER_MS + 1 : 1;
	struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	if (next)
		event_add(host->closing, &after);
	else
		event_del(host->closing);
}

static void on_closing(evutil_socket_t fd, short what, void *user)
{
	struct host *host = user;
	bool others = sl_addresses_expire(&host->open, sl_now_ns());

	(void)fd;
	(void)what;
	arm_closing(host);
	if (others)
		changed(host);
}

static void take(struct host *host, const struct sl_address *addresses, size_t count, uint32_t ttl_s)
{
	const uint32_t least = host->servers->config.hold_min_s;
	uint64_t hold = ttl_s > least ? ttl_s : least;
	bool others = sl_addresses_take(&host->open, addresses, count, hold * 1000 * NS_PER_MS, sl_now_ns());

	arm_closing(host);
	if (others)
		changed(host);
}

/* Both look-ups have ended. */
static void conclude(struct host *host)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES] = {{.family = 0}};
	uint32_t ttl = SL_SERVERS_TTL_MAX_S;
	bool found = false, lame = false;
	const char *why = NULL;
	size_t count = 0;

	for (int i = 0; i < FAMILIES; i++) {
		const struct query *query = &host->query[i];

		if (query->result == DNS_ERR_NONE && query->count > 0) {
			found = true;
			ttl = query->ttl < ttl ? query->ttl : ttl;
		} else if (query->result != DNS_ERR_NONE) {
			lame = lame || (query->result != DNS_ERR_NODATA && query->result != DNS_ERR_NOTEXIST);
			why = evdns_err_to_string(query->result);
		}
		gather(host, i, addresses, &count);
	}
	if (!found) {
		failed(host, why ? why : "no address");
		return;
	}
	ttl = ttl < SL_SERVERS_TTL_MIN_S ? SL_SERVERS_TTL_MIN_S : ttl;
	take(host, addresses, count, ttl);
	/* one family answered and the other failed: both are asked again soon */
	if (lame) {
		failed(host, why);
		return;
	}
	host->failures = 0;
	host->error[0] = '\0';
	arm(host, ttl);
}

static void free_host(struct host *host)
{
	if (host->timer)
		event_free(host->timer);
	if (host->closing)
		event_free(host->closing);
	free(host);
}

static void on_answer(int result, char type, int count, int ttl, void *addresses, void *user)
{
	const size_t length = type == DNS_IPv6_AAAA ? 16 : 4;
	struct query *query = user;
	struct host *host = query->host;

	query->pending = false;
	query->result = result;
	query->ttl = ttl > 0 ? (uint32_t)ttl : 0;
	query->count = 0;
	for (int i = 0; result == DNS_ERR_NONE && i < count && query->count < SL_SERVERS_ADDRESSES; i++) {
		struct sl_address *address = &query->addresses[query->count++];

		*address = (struct sl_address){.family = length == 16 ? 6 : 4};
		memcpy(address->bytes, (const uint8_t *)addresses + (size_t)i * length, length);
	}
	if (host->query[0].pending || host->query[1].pending)
		return;
	if (host->gone)
		free_host(host);
	else
		conclude(host);
}

static void look_up(evutil_socket_t fd, short what, void *user)
{
	struct host *host = user;
	struct evdns_base *dns = host->servers->dns;

	(void)fd;
	(void)what;
	read_resolv_conf(host->servers);
	if (evdns_base_count_nameservers(dns) == 0) {
		failed(host, "no name server is configured");
		return;
	}
	host->next_ns = 0;
	for (int i = 0; i < FAMILIES; i++) {
		host->query[i] = (struct query){.host = host, .pending = true};
	}
	/* a request that cannot even be made ends like one that failed */
	if (!evdns_base_resolve_ipv4(dns, host->name, DNS_QUERY_NO_SEARCH, on_answer, &host->query[0]))
		on_answer(DNS_ERR_UNKNOWN, DNS_IPv4_A, 0, 0, NULL, &host->query[0]);
	if (!evdns_base_resolve_ipv6(dns, host->name, DNS_QUERY_NO_SEARCH, on_answer, &host->query[1]))
		on_answer(DNS_ERR_UNKNOWN, DNS_IPv6_AAAA, 0, 0, NULL, &host->query[1]);
}

/* --- hosts -------------------------------------------------------------------------- */

static int find(struct sl_servers *servers, const char *name, struct host **out, struct sl_error *err)
{
	const struct timeval now = {.tv_sec = 0};
	struct host *host;

	HASH_FIND_STR(servers->hosts, name, host);
	if (host) {
		host->unmarked = 0;
		*out = host;
		return 0;
	}
	if (HASH_COUNT(servers->hosts) >= SL_SERVERS_HOSTS)
		return sl_error(err, ENOSPC,
				"redirect: '%s' would be one more than %d hosts, the most allowed", name,
				SL_SERVERS_HOSTS);
	host = calloc(1, sizeof(*host));
	if (!host)
		return sl_error(err, ENOMEM, "redirect: out of memory");
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->servers = servers;
	host->timer = event_new(servers->config.base, -1, 0, look_up, host);
	host->closing = event_new(servers->config.base, -1, 0, on_closing, host);
	if (!host->timer || !host->closing || event_add(host->timer, &now) < 0) {
		free_host(host);
		return sl_error(err, ENOMEM, "redirect: out of memory");
	}
	HASH_ADD_STR(servers->hosts, name, host);
	*out = host;
	return 0;
}

int sl_servers_get(struct sl_servers *servers, const char *name, struct sl_address *out, size_t max,
		   size_t *count, struct sl_error *err)
{
	struct host *host;
	int rc;

	rc = find(servers, name, &host, err);
	if (rc < 0)
		return rc;
	*count = host->open.count < max ? host->open.count : max;
	memcpy(out, host->open.address, *count * sizeof(out[0]));
	return 0;
}

int sl_servers_seed(struct sl_servers *servers, const char *name, const struct sl_address *addresses,
		    size_t count, struct sl_error *err)
{
	struct host *host;
	int rc;

	rc = find(servers, name, &host, err);
	if (rc == 0 && host->open.count == 0)
		sl_addresses_take(&host->open, addresses, count,
				  (uint64_t)servers->config.hold_min_s * 1000 * NS_PER_MS, sl_now_ns());
	return rc;
}

void sl_servers_mark(struct sl_servers *servers, const char *name)
{
	struct host *host;

	HASH_FIND_STR(servers->hosts, name, host);
	if (host)
		host->unmarked = 0;
}

void sl_servers_sweep(struct sl_servers *servers)
{
	struct host *host, *next;

	HASH_ITER (hh, servers->hosts, host, next) {
		if (host->unmarked++ == 0)
			continue;
		HASH_DEL(servers->hosts, host);
		event_del(host->timer);
		event_del(host->closing);
		host->gone = true;
		if (!host->query[0].pending && !host->query[1].pending)
			free_host(host);
	}
}

static struct sl_server_view view_of(const struct host *host, uint64_t now)
{
	return (struct sl_server_view){
		.host = host->name,
		.open = &host->open,
		.now_ns = now,
		.error = host->error[0] ? host->error : NULL,
		.failures = host->failures,
		.next_try_ms = host->next_ns > now ? (host->next_ns - now) / NS_PER_MS : 0,
	};
}

void sl_servers_each(struct sl_servers *servers, void (*visit)(const struct sl_server_view *view, void *user),
		     void *user)
{
	uint64_t now = sl_now_ns();
	struct host *host, *next;

	HASH_ITER (hh, servers->hosts, host, next) {
		const struct sl_server_view view = view_of(host, now);

		visit(&view, user);
	}
}

/* --- beginning and end ---------------------------------------------------------------- */

static void on_dns_log(int is_warning, const char *message)
{
	if (is_warning)
		sl_log(SL_LOG_DEBUG, "resolver", "message", "%s", message, NULL);
}

int sl_servers_new(const struct sl_servers_config *config, struct sl_servers **out, struct sl_error *err)
{
	struct sl_servers *servers = calloc(1, sizeof(*servers));
	int rc;

	if (!servers)
		return sl_error(err, ENOMEM, "redirect: out of memory");
	servers->config = *config;
	if (!servers->config.hold_min_s)
		servers->config.hold_min_s = SL_SERVERS_HOLD_MIN_S;
	evdns_set_log_fn(on_dns_log);
	servers->dns = evdns_base_new(config->base, 0);
	if (!servers->dns) {
		free(servers);
		return sl_error(err, ENOMEM, "redirect: out of memory");
	}
	set_options(servers->dns);
	rc = set_nameservers(servers, err);
	if (rc < 0) {
		sl_servers_free(servers);
		return rc;
	}
	*out = servers;
	return 0;
}

void sl_servers_free(struct sl_servers *servers)
{
	struct host *host, *next;

	if (!servers)
		return;
	/* no answer is given any more: nothing comes back to the hosts */
	evdns_base_free(servers->dns, 0);
	HASH_ITER (hh, servers->hosts, host, next) {
		HASH_DEL(servers->hosts, host);
		free_host(host);
	}
	free(servers);
}
