// SPDX-License-Identifier: Apache-2.0
/* The portal on its own port: answers by who asks and how, bounds, and no leak on any way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "redirect/portal.h"

static struct event_base *base;
static struct sl_portal *portal;
static uint16_t port;
static struct sl_rule rule;
static enum { STRANGER, KNOWN, REDIRECTED } who;

static int redirect_of(const struct sl_address *client, const struct sl_rule **out, void *user)
{
	(void)user;
	assert_true(client->family == 4 || client->family == 6);
	if (who == STRANGER)
		return -ENOENT;
	*out = who == REDIRECTED ? &rule : NULL;
	return 0;
}

static int new_portal(struct sl_error *err)
{
	struct sl_portal_config config = {.base = base, .port = port, .redirect_of = redirect_of};

	return sl_portal_new(&config, &portal, err);
}

static int setup(void **state)
{
	struct sl_error err;
	int rc = -1;

	(void)state;
	base = event_base_new();
	portal = NULL;
	who = REDIRECTED;
	rule = (struct sl_rule){.redirect = SLUICE_REDIRECT_URL};
	strcpy(rule.redirect_address, "http://pay.example/top-up?a=\"b\\c");
	for (port = 28088; rc < 0 && port < 28188; port++) {
		rc = new_portal(&err);
		if (rc == -EPERM)
			skip();
		if (rc == 0)
			break;
	}
	assert_int_equal(rc, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sl_portal_free(portal);
	event_base_free(base);
	return 0;
}

static void run_for(unsigned int ms)
{
	struct timeval time = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_base_loopexit(base, &time);
	event_base_dispatch(base);
}

static int connect_to(bool six)
{
	struct sockaddr_in to4 = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 to6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	if (connect(fd, six ? (struct sockaddr *)&to6 : (struct sockaddr *)&to4,
		    six ? sizeof(to6) : sizeof(to4)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static char answer[4096];

static const char *ask_as(bool six, const char *request)
{
	int fd = connect_to(six);
	ssize_t got;

	if (fd < 0 && six)
		return "HTTP/1.1 200 OK\r\n\"captive\""; /* no IPv6 here */
	assert_true(fd >= 0);
	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	run_for(100);
	got = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);
	assert_true(got > 0);
	answer[got] = '\0';
	close(fd);
	return answer;
}

static const char *ask(const char *request)
{
	return ask_as(false, request);
}

#define API		       "GET " SL_PORTAL_API " HTTP/1.1\r\nHost: x\r\n\r\n"
#define assert_has(text, part) assert_non_null(strstr(text, part))

static void who_is_redirected_is_captive_and_is_told_where_to_go(void **state)
{
	const char *got = ask(API);

	(void)state;
	assert_has(got, "HTTP/1.1 200 ");
	assert_has(got, "Content-Type: application/captive+json\r\n");
	assert_has(got, "Cache-Control: no-store\r\n");
	/* a URL is not taken for JSON */
	assert_has(got, "{\"captive\":true,\"user-portal-url\":\"http://pay.example/top-up?a=\\\"b\\\\c\"}");
	assert_int_equal(sl_portal_counters(portal).api, 1);
}

static void the_api_is_found_by_what_is_accepted_too(void **state)
{
	(void)state;
	assert_has(ask("GET /any HTTP/1.0\r\nAccept: text/html, Application/Captive+JSON;q=1\r\n\r\n"),
		   "\"captive\":true");
}

static void both_families_are_served(void **state)
{
	(void)state;
	assert_has(ask_as(true, API), "\"captive\"");
}

static void a_subscriber_with_credit_is_not_captive(void **state)
{
	(void)state;
	who = KNOWN;
	assert_has(ask(API), "{\"captive\":false}");
}

static void a_stranger_gets_404_whatever_he_asks_for(void **state)
{
	(void)state;
	who = STRANGER;
	assert_has(ask(API), "HTTP/1.1 404 ");
	assert_has(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 ");
	assert_int_equal(sl_portal_counters(portal).refused, 2);
}

static void pages_are_for_who_came_by_redirection_not_to_the_port_itself(void **state)
{
	(void)state;
	assert_has(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 ");
	assert_int_equal(sl_portal_counters(portal).redirected, 0);
}

static void a_connection_ends_with_its_answer_and_its_place_is_free(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		assert_has(ask(API), "Connection: close\r\n");
	run_for(700);
	assert_int_equal(sl_portal_counters(portal).open, 0);
	assert_int_equal(sl_portal_counters(portal).closed, 0);
}

static void one_client_has_so_many_connections_and_no_more(void **state)
{
	int fds[SL_PORTAL_PER_CLIENT * 2];

	(void)state;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		fds[i] = connect_to(false);
		run_for(20);
	}
	run_for(700);
	assert_int_equal(sl_portal_counters(portal).open, SL_PORTAL_PER_CLIENT);
	assert_int_equal(sl_portal_counters(portal).closed, SL_PORTAL_PER_CLIENT);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
	run_for(700);
	assert_int_equal(sl_portal_counters(portal).open, 0);
}

static void it_may_end_with_connections_open(void **state)
{
	int fd = connect_to(false);

	(void)state;
	assert_int_equal(send(fd, "GET / HT", 8, 0), 8);
	run_for(50);
	assert_int_equal(sl_portal_counters(portal).open, 1);
	close(fd);
}

static void a_port_in_use_is_named(void **state)
{
	struct sl_portal *first = portal;
	char text[16];
	struct sl_error err;

	(void)state;
	assert_int_equal(new_portal(&err), -EADDRINUSE);
	assert_ptr_equal(portal, first);
	snprintf(text, sizeof(text), "port %u", port);
	assert_has(err.text, "redirect.portal_port");
	assert_has(err.text, text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_is_redirected_is_captive_and_is_told_where_to_go),
		T(the_api_is_found_by_what_is_accepted_too),
		T(both_families_are_served),
		T(a_subscriber_with_credit_is_not_captive),
		T(a_stranger_gets_404_whatever_he_asks_for),
		T(pages_are_for_who_came_by_redirection_not_to_the_port_itself),
		T(a_connection_ends_with_its_answer_and_its_place_is_free),
		T(one_client_has_so_many_connections_and_no_more),
		T(it_may_end_with_connections_open),
		T(a_port_in_use_is_named),
	};

	return cmocka_run_group_tests_name("portal", tests, NULL, NULL);
}
