// SPDX-License-Identifier: Apache-2.0
/* Names of redirect servers, resolved by a name server that the test is itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redirect/servers.h"

enum mood { ANSWERS, NO_NAME, SILENT };

static struct event_base *base;
static struct evdns_server_port *port;
static struct sl_servers *servers;
static enum mood mood;
static const char *address4, *address6; /* NULL: none of that type */
static int ttl;
static unsigned int asked;
static unsigned int changes;
static char changed[SL_REDIRECT_HOST_SIZE];

static void on_question(struct evdns_server_request *request, void *user)
{
	uint8_t bytes[16];

	(void)user;
	asked++;
	if (mood == SILENT) {
		evdns_server_request_drop(request);
		return;
	}
	for (int i = 0; mood == ANSWERS && i < request->nquestions; i++) {
		const struct evdns_server_question *question = request->questions[i];

		if (question->type == EVDNS_TYPE_A && address4) {
			inet_pton(AF_INET, address4, bytes);
			evdns_server_request_add_a_reply(request, question->name, 1, bytes, ttl);
		} else if (question->type == EVDNS_TYPE_AAAA && address6) {
			inet_pton(AF_INET6, address6, bytes);
			evdns_server_request_add_aaaa_reply(request, question->name, 1, bytes, ttl);
		}
	}
	evdns_server_request_respond(request, mood == NO_NAME ? DNS_ERR_NOTEXIST : DNS_ERR_NONE);
}

static void on_change(const char *host, void *user)
{
	assert_ptr_equal(user, &changes);
	changes++;
	snprintf(changed, sizeof(changed), "%s", host);
}

static int setup_with(uint32_t hold_min_s)
{
	struct sl_servers_config config = {
		.nameserver_count = 1, .hold_min_s = hold_min_s, .on_change = on_change, .user = &changes};
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(name);
	struct sl_error err;
	int fd;

	mood = ANSWERS;
	address4 = "192.0.2.1";
	address6 = "2001:db8::1";
	ttl = 60;
	asked = changes = 0;
	base = event_base_new();
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	port = evdns_add_server_port_with_base(base, fd, 0, on_question, NULL);
	assert_non_null(port);
	config.base = base;
	snprintf(config.nameserver[0], sizeof(config.nameserver[0]), "127.0.0.1:%u", ntohs(name.sin_port));
	assert_int_equal(sl_servers_new(&config, &servers, &err), 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(2);
}

static int setup_as_in_service(void **state)
{
	(void)state;
	return setup_with(0);
}

static int teardown(void **state)
{
	(void)state;
	sl_servers_free(servers);
	evdns_close_server_port(port);
	event_base_free(base);
	return 0;
}

static void run_for(unsigned int ms)
{
	struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_base_loopexit(base, &time);
	event_base_dispatch(base);
}

static size_t get(const char *host, struct sl_address out[SL_SERVERS_ADDRESSES])
{
	struct sl_error err;
	size_t count = 99;

	assert_int_equal(sl_servers_get(servers, host, out, SL_SERVERS_ADDRESSES, &count, &err), 0);
	return count;
}

static struct sl_server_view seen;
static unsigned int hosts;

static void see(const struct sl_server_view *view, void *user)
{
	(void)user;
	seen = *view;
	hosts++;
}

static unsigned int look(void)
{
	hosts = 0;
	sl_servers_each(servers, see, NULL);
	return hosts;
}

static void assert_address(const struct sl_address *address, const char *text)
{
	char got[SL_ADDRESS_TEXT];

	sl_address_format(address, got);
	assert_string_equal(got, text);
}

static void a_host_has_no_address_until_it_is_resolved_and_both_families_then(void **state)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];

	(void)state;
	assert_int_equal(get("pay.example", addresses), 0);
	assert_int_equal(changes, 0);
	run_for(300);
	assert_int_equal(changes, 1);
	assert_string_equal(changed, "pay.example");
	assert_int_equal(get("pay.example", addresses), 2);
	assert_address(&addresses[0], "192.0.2.1");
	assert_address(&addresses[1], "2001:db8::1");
	assert_int_equal(look(), 1);
	assert_null(seen.error);
	assert_in_range(seen.next_try_ms, 55000, 60000);
}

static void one_family_alone_is_an_answer_too(void **state)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];

	(void)state;
	address6 = NULL;
	get("pay.example", addresses);
	run_for(300);
	assert_int_equal(get("pay.example", addresses), 1);
	assert_int_equal(look(), 1);
	assert_null(seen.error);
	assert_int_equal(seen.failures, 0);
}

static void a_failure_is_told_tried_again_later_each_time_and_ends_with_an_answer(void **state)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];

	(void)state;
	mood = NO_NAME;
	get("pay.example", addresses);
	run_for(300);
	look();
	assert_int_equal(seen.failures, 1);
	assert_string_equal(seen.error, "name does not exist");
	assert_in_range(seen.next_try_ms, 500, 1000);
	run_for(1200);
	look();
	assert_int_equal(seen.failures, 2);
	assert_in_range(seen.next_try_ms, 1000, 2000);
	assert_int_equal(changes, 0);
	mood = ANSWERS;
	run_for(2200);
	look();
	assert_int_equal(seen.failures, 0);
	assert_null(seen.error);
	assert_int_equal(get("pay.example", addresses), 2);
}

static void what_an_earlier_run_knew_holds_until_the_first_answer(void **state)
{
	struct sl_address known = {.family = 4, .bytes = {203, 0, 113, 9}};
	struct sl_address addresses[SL_SERVERS_ADDRESSES];
	struct sl_error err;

	(void)state;
	mood = NO_NAME;
	assert_int_equal(sl_servers_seed(servers, "pay.example", &known, 1, &err), 0);
	run_for(300);
	assert_int_equal(get("pay.example", addresses), 1);
	assert_address(&addresses[0], "203.0.113.9");
	assert_int_equal(changes, 0);
	mood = ANSWERS;
	run_for(1300);
	/* and is held for a while then, as any other */
	assert_int_equal(get("pay.example", addresses), 3);
	assert_address(&addresses[0], "192.0.2.1");
	assert_address(&addresses[1], "203.0.113.9");
	assert_int_equal(changes, 1);
	look();
	assert_int_equal(seen.open->held_until_ns[0], 0);
	assert_in_range(seen.open->held_until_ns[1] - seen.now_ns, 500000000, 2000000000);
	run_for(2100);
	assert_int_equal(get("pay.example", addresses), 2);
	assert_int_equal(changes, 2);
	/* nor does a seed take the place of an answer */
	assert_int_equal(sl_servers_seed(servers, "pay.example", &known, 1, &err), 0);
	assert_int_equal(get("pay.example", addresses), 2);
}

static void a_host_whose_answer_rotates_keeps_the_last_ones_open(void **state)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];

	(void)state;
	address6 = NULL;
	ttl = 1;
	get("pay.example", addresses);
	run_for(300);
	address4 = "192.0.2.2";
	run_for(SL_SERVERS_TTL_MIN_S * 1000);
	assert_int_equal(get("pay.example", addresses), 2);
	assert_int_equal(changes, 2);
	/* the first one again: nothing is opened, so nothing is published */
	address4 = "192.0.2.1";
	run_for(SL_SERVERS_TTL_MIN_S * 1000);
	assert_int_equal(get("pay.example", addresses), 2);
	assert_int_equal(changes, 2);
	look();
	assert_int_equal(seen.open->held_until_ns[0], 0);
	assert_in_range((seen.open->held_until_ns[1] - seen.now_ns) / 1000000000, SL_SERVERS_HOLD_MIN_S - 6,
			SL_SERVERS_HOLD_MIN_S);
}

static void what_was_withdrawn_is_closed_in_time_also_while_no_name_server_answers(void **state)
{
	struct sl_address known = {.family = 4, .bytes = {203, 0, 113, 9}};
	struct sl_address addresses[SL_SERVERS_ADDRESSES];
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_servers_seed(servers, "pay.example", &known, 1, &err), 0);
	run_for(300);
	assert_int_equal(get("pay.example", addresses), 3);
	mood = SILENT;
	run_for(2100);
	assert_int_equal(get("pay.example", addresses), 2);
	assert_int_equal(changes, 2);
}

static void the_same_answer_is_no_change(void **state)
{
	struct sl_address known[2] = {{.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
				      {.family = 4, .bytes = {192, 0, 2, 1}}};
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_servers_seed(servers, "pay.example", known, 2, &err), 0);
	run_for(300);
	assert_true(asked >= 2);
	assert_int_equal(changes, 0);
}

static void a_host_that_no_rule_names_is_forgotten_by_the_second_sweep(void **state)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];

	(void)state;
	get("pay.example", addresses);
	get("old.example", addresses);
	run_for(300);
	sl_servers_sweep(servers);
	assert_int_equal(look(), 2);
	sl_servers_mark(servers, "pay.example");
	sl_servers_mark(servers, "unknown.example");
	sl_servers_sweep(servers);
	assert_int_equal(look(), 1);
	assert_string_equal(seen.host, "pay.example");
}

static void a_host_may_be_forgotten_while_it_is_being_resolved(void **state)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];

	(void)state;
	mood = SILENT;
	get("pay.example", addresses);
	run_for(100);
	sl_servers_sweep(servers);
	sl_servers_sweep(servers);
	assert_int_equal(look(), 0);
	/* and come back beside its own ghost, whose time runs out */
	mood = ANSWERS;
	get("pay.example", addresses);
	run_for(300);
	assert_int_equal(get("pay.example", addresses), 2);
	run_for(4500);
	assert_int_equal(look(), 1);
}

static void the_resolver_may_end_while_names_are_being_resolved(void **state)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];

	(void)state;
	mood = SILENT;
	get("pay.example", addresses);
	run_for(100);
	assert_true(asked > 0);
	/* teardown frees it; the sanitizer says what was left */
}

static void one_host_more_than_the_bound_is_refused_by_name(void **state)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];
	struct sl_error err;
	char name[32];
	size_t count;

	(void)state;
	for (int i = 0; i < SL_SERVERS_HOSTS; i++) {
		snprintf(name, sizeof(name), "h%d.example", i);
		assert_int_equal(sl_servers_get(servers, name, addresses, 1, &count, &err), 0);
	}
	assert_int_equal(sl_servers_get(servers, "more.example", addresses, 1, &count, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "more.example"));
	assert_int_equal(look(), SL_SERVERS_HOSTS);
}

static void a_nameserver_that_is_none_is_refused_by_name(void **state)
{
	struct sl_servers_config config = {.base = base, .nameserver_count = 1, .on_change = on_change};
	struct sl_servers *other = NULL;
	struct sl_error err;

	(void)state;
	strcpy(config.nameserver[0], "not-an-address");
	assert_int_equal(sl_servers_new(&config, &other, &err), -EINVAL);
	assert_null(other);
	assert_non_null(strstr(err.text, "redirect.nameservers[0]: 'not-an-address'"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_host_has_no_address_until_it_is_resolved_and_both_families_then),
		T(one_family_alone_is_an_answer_too),
		T(a_failure_is_told_tried_again_later_each_time_and_ends_with_an_answer),
		T(what_an_earlier_run_knew_holds_until_the_first_answer),
		cmocka_unit_test_setup_teardown(a_host_whose_answer_rotates_keeps_the_last_ones_open,
						setup_as_in_service, teardown),
		T(what_was_withdrawn_is_closed_in_time_also_while_no_name_server_answers),
		T(the_same_answer_is_no_change),
		T(a_host_that_no_rule_names_is_forgotten_by_the_second_sweep),
		T(a_host_may_be_forgotten_while_it_is_being_resolved),
		T(the_resolver_may_end_while_names_are_being_resolved),
		T(one_host_more_than_the_bound_is_refused_by_name),
		T(a_nameserver_that_is_none_is_refused_by_name),
	};

	return cmocka_run_group_tests_name("servers", tests, NULL, NULL);
}
