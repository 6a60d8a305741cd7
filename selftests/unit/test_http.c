// SPDX-License-Identifier: Apache-2.0
/* Metrics in Prometheus' text form, and the HTTP server that serves them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "http/server.h"

static struct event_base *base;
static struct sl_http *http;
static uint16_t port;
static bool is_ready;
static int repetitions; /* of a value, to make a long answer */

static void some_metrics(struct sl_metrics *metrics, void *user)
{
	(void)user;
	sl_metric_family(metrics, "sluice_answers_total", SL_METRIC_COUNTER, "Answers.");
	for (int i = 0; i < repetitions; i++)
		sl_metric(metrics, 42, NULL);
}

static bool ready(struct sl_error *why, void *user)
{
	(void)user;
	if (!is_ready)
		sl_error(why, EAGAIN, "waiting for the session manager's setup");
	return is_ready;
}

static void class_metrics(struct sl_metrics *metrics, void *user)
{
	(void)user;
	sl_metric_family(metrics, "sluice_class_backlog_bytes", SL_METRIC_GAUGE, "Bytes.");
	sl_metric(metrics, 7, "class", "808", NULL);
}

static const struct sl_http_ops ops = {
	.metrics = some_metrics, .class_metrics = class_metrics, .ready = ready};

static int set_up(void **state)
{
	char address[32];
	int rc;

	(void)state;
	base = event_base_new();
	is_ready = true;
	repetitions = 1;
	port = (uint16_t)(20000 + sl_now_ns() / 1000 % 10000);
	do {
		snprintf(address, sizeof(address), "127.0.0.1:%u", ++port);
		rc = sl_http_new(base, address, &ops, NULL, &http, NULL);
	} while (rc == -EADDRINUSE);
	return rc;
}

static int tear_down(void **state)
{
	(void)state;
	sl_http_free(http);
	event_base_free(base);
	return 0;
}

static int dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What the server says until it closes the connection or the time is over; true: it closed. */
static bool hear(int fd, char *answer, size_t size, unsigned int limit_ms)
{
	uint64_t until = sl_now_ns() + limit_ms * 1000000ull;
	size_t used = 0;

	answer[0] = '\0';
	while (sl_now_ns() < until && used + 1 < size) {
		ssize_t got;

		event_base_loop(base, EVLOOP_NONBLOCK);
		got = recv(fd, answer + used, size - used - 1, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			return true;
		if (got > 0)
			used += (size_t)got;
		answer[used] = '\0';
	}
	return false;
}

static void expect_answer(const char *request, const char *status, const char *body)
{
	_cleanup_fd_ int fd = dial();
	char answer[4096];
	const char *end;

	say(fd, request);
	assert_true(hear(fd, answer, sizeof(answer), 2000));
	if (strncmp(answer, status, strlen(status)) != 0)
		fail_msg("expected %s, got: %s", status, answer);
	if (!body)
		return;
	end = strstr(answer, "\r\n\r\n");
	assert_non_null(end);
	assert_string_equal(end + 4, body);
}

/* --- the text form ------------------------------------------------------------------ */

static void a_family_has_its_help_and_type_and_each_value_its_labels(void **state)
{
	struct evbuffer *buffer = evbuffer_new();
	struct sl_metrics metrics = {.out = buffer};

	(void)state;
	sl_metric_family(&metrics, "sluice_dropped_packets_total", SL_METRIC_COUNTER, "Packets dropped.");
	sl_metric(&metrics, 18446744073709551615ull, "reason", "rule-deny", "direction", "uplink", NULL);
	sl_metric(&metrics, 0, "reason", "no-rule", "direction", "downlink", NULL);
	sl_metric_family(&metrics, "process_cpu_seconds_total", SL_METRIC_COUNTER, "CPU time.");
	sl_metric_real(&metrics, 1.25, NULL);
	sl_metric_family(&metrics, "sluice_rules", SL_METRIC_GAUGE, "Rules.");
	sl_metric(&metrics, 7, NULL);
	evbuffer_add(buffer, "", 1);
	assert_string_equal((char *)evbuffer_pullup(buffer, -1),
			    "# HELP sluice_dropped_packets_total Packets dropped.\n"
			    "# TYPE sluice_dropped_packets_total counter\n"
			    "sluice_dropped_packets_total{reason=\"rule-deny\",direction=\"uplink\"} "
			    "18446744073709551615\n"
			    "sluice_dropped_packets_total{reason=\"no-rule\",direction=\"downlink\"} 0\n"
			    "# HELP process_cpu_seconds_total CPU time.\n"
			    "# TYPE process_cpu_seconds_total counter\n"
			    "process_cpu_seconds_total 1.250000\n"
			    "# HELP sluice_rules Rules.\n"
			    "# TYPE sluice_rules gauge\n"
			    "sluice_rules 7\n");
	evbuffer_free(buffer);
}

static void a_label_value_cannot_break_out_of_its_quotes(void **state)
{
	struct evbuffer *buffer = evbuffer_new();
	struct sl_metrics metrics = {.out = buffer, .family = "m"};

	(void)state;
	sl_metric(&metrics, 1, "text", "a\"b\\c\nd", NULL);
	sl_metric(&metrics, 2, "text", "r\xc3\xa8gle \xff\xc3", NULL);
	sl_metric(&metrics, 3, "text", "", NULL);
	evbuffer_add(buffer, "", 1);
	assert_string_equal((char *)evbuffer_pullup(buffer, -1), "m{text=\"a\\\"b\\\\c\\nd\"} 1\n"
								 "m{text=\"r\xc3\xa8gle ??\"} 2\n"
								 "m{text=\"\"} 3\n");
	evbuffer_free(buffer);
}

/* --- the server ----------------------------------------------------------------------- */

static void metrics_health_and_readiness_are_served(void **state)
{
	(void)state;
	expect_answer("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n",
		      "# HELP sluice_answers_total Answers.\n# TYPE sluice_answers_total counter\n"
		      "sluice_answers_total 42\n");
	expect_answer("GET /metrics/classes HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n",
		      "# HELP sluice_class_backlog_bytes Bytes.\n# TYPE sluice_class_backlog_bytes gauge\n"
		      "sluice_class_backlog_bytes{class=\"808\"} 7\n");
	expect_answer("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n", NULL);
	expect_answer("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "ok\n");
	expect_answer("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "ready\n");
	expect_answer("HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "");
	is_ready = false;
	expect_answer("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 503 ",
		      "waiting for the session manager's setup\n");
	expect_answer("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "ok\n");
}

static void what_is_not_served_is_refused_and_the_next_one_is_served(void **state)
{
	static char long_header[3 * SL_HTTP_HEADERS];

	(void)state;
	expect_answer("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ", NULL);
	expect_answer("GET /metrics/../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ", NULL);
	expect_answer("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 405 ",
		      "only GET and HEAD are served\n");
	expect_answer("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\nhi",
		      "HTTP/1.1 413 ", NULL);
	expect_answer("nonsense\r\n\r\n", "HTTP/1.1 400 ", NULL);
	memcpy(long_header, "GET /metrics HTTP/1.1\r\nX: ", 26);
	memset(long_header + 26, 'x', 2 * SL_HTTP_HEADERS);
	memcpy(long_header + 26 + 2 * SL_HTTP_HEADERS, "\r\n\r\n", 5);
	expect_answer(long_header, "HTTP/1.1 400 ", NULL);
	expect_answer("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "ok\n");
}

static void silent_connections_are_closed_and_then_those_who_wait_are_served(void **state)
{
	char answer[4096];
	int silent[SL_HTTP_CONNECTIONS];
	_cleanup_fd_ int waiting = -1;
	uint64_t start = sl_now_ns();

	(void)state;
	for (int i = 0; i < SL_HTTP_CONNECTIONS; i++) {
		silent[i] = dial();
		say(silent[i], "GET /metr");
	}
	waiting = dial();
	say(waiting, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	/* not while all others are open */
	assert_false(hear(waiting, answer, sizeof(answer), SL_HTTP_LIFE_MS / 4));
	assert_string_equal(answer, "");
	assert_true(hear(waiting, answer, sizeof(answer), 2 * SL_HTTP_LIFE_MS));
	assert_memory_equal(answer, "HTTP/1.1 200 OK", 15);
	assert_true(sl_now_ns() - start > SL_HTTP_LIFE_MS * 900000ull);
	for (int i = 0; i < SL_HTTP_CONNECTIONS; i++) {
		assert_true(hear(silent[i], answer, sizeof(answer), 1000));
		close(silent[i]);
	}
}

static void who_does_not_read_the_answer_is_closed_too(void **state)
{
	_cleanup_fd_ int fd = dial();
	char answer[16];

	(void)state;
	repetitions = 1000000;
	say(fd, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	for (uint64_t until = sl_now_ns() + (SL_HTTP_LIFE_MS + 500) * 1000000ull; sl_now_ns() < until;)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	for (size_t heard = 0;; heard += sizeof(answer)) {
		ssize_t got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);

		assert_false(got < 0 && errno == EAGAIN);
		assert_true(heard < 20000000);
		if (got <= 0)
			break;
	}
}

static void it_ends_with_connections_open(void **state)
{
	_cleanup_fd_ int silent = dial(), half = dial(), slow = dial();
	char answer[256];

	(void)state;
	repetitions = 1000000;
	say(half, "GET /");
	say(slow, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_false(hear(silent, answer, sizeof(answer), 50));
	assert_false(hear(half, answer, sizeof(answer), 50));
	assert_false(hear(slow, answer, sizeof(answer), 500));
	assert_memory_equal(answer, "HTTP/1.1 200 OK", 15);
	/* tear_down frees the server, and the sanitizer looks on */
}

static void an_address_that_is_taken_is_an_error_that_names_it(void **state)
{
	struct sl_http *other = NULL;
	struct sl_error err = {{0}};
	char address[32];

	(void)state;
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	assert_int_equal(sl_http_new(base, address, &ops, NULL, &other, &err), -EADDRINUSE);
	assert_null(other);
	assert_non_null(strstr(err.text, address));
	assert_int_equal(sl_http_new(base, "localhost", &ops, NULL, &other, &err), -EINVAL);
	assert_non_null(strstr(err.text, "localhost"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family_has_its_help_and_type_and_each_value_its_labels),
		cmocka_unit_test(a_label_value_cannot_break_out_of_its_quotes),
		cmocka_unit_test_setup_teardown(metrics_health_and_readiness_are_served, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_served_is_refused_and_the_next_one_is_served,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			silent_connections_are_closed_and_then_those_who_wait_are_served, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_does_not_read_the_answer_is_closed_too, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(it_ends_with_connections_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_address_that_is_taken_is_an_error_that_names_it, set_up,
						tear_down),
	};

	signal(SIGPIPE, SIG_IGN); /* as the agent does */
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
