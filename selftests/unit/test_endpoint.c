// SPDX-License-Identifier: Apache-2.0
/* Addresses, and Unix sockets with whatever lies at their path already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "api/endpoint.h"
#include "api/grpc.h"
#include "base/cleanup.h"

static char folder[64];
static char path[96];

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/sluice-endpoint.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/api.sock", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static struct sl_endpoint unix_endpoint(void)
{
	struct sl_endpoint endpoint;
	char text[128];

	snprintf(text, sizeof(text), "unix:%s", path);
	assert_int_equal(sl_endpoint_parse(text, &endpoint, NULL), 0);
	return endpoint;
}

static void addresses_of_all_three_kinds_are_parsed(void **state)
{
	struct sl_endpoint endpoint;

	(void)state;
	assert_int_equal(sl_endpoint_parse("127.0.0.1:50063", &endpoint, NULL), 0);
	assert_int_equal(endpoint.address.ss_family, AF_INET);
	assert_int_equal(sl_endpoint_parse("[::1]:0", &endpoint, NULL), 0);
	assert_int_equal(endpoint.address.ss_family, AF_INET6);
	assert_int_equal(sl_endpoint_parse("unix:/run/x", &endpoint, NULL), 0);
	assert_true(sl_endpoint_is_unix(&endpoint));
}

static void a_bad_address_is_refused_and_named(void **state)
{
	static const char *const bad[] = {
		"",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"127.0.0.1:+1",
		"localhost:1",
		"::1:50063",
		"[::1]",
		"[::1:50063",
		"[127.0.0.1]:1",
		"1.2.3:4",
		"127.0.0.1:1x",
		"127.0.0.1:000001",
		":50063",
		"[]:1",
	};
	struct sl_error err;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_endpoint endpoint = {.length = 77};

		assert_int_equal(sl_endpoint_parse(bad[i], &endpoint, &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i]));
		assert_int_equal(endpoint.length, 77);
	}
}

static void a_socket_path_above_107_bytes_is_refused(void **state)
{
	struct sl_endpoint endpoint;
	char text[5 + 108 + 1];

	(void)state;
	memset(text, 'p', sizeof(text));
	memcpy(text, "unix:", 5);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(sl_endpoint_parse(text, &endpoint, NULL), -EINVAL);
	text[sizeof(text) - 2] = '\0';
	assert_int_equal(sl_endpoint_parse(text, &endpoint, NULL), 0);
}

static void a_unix_socket_is_its_owners_only(void **state)
{
	struct sl_endpoint endpoint = unix_endpoint();
	_cleanup_fd_ int fd = -1;
	struct stat st;

	(void)state;
	assert_int_equal(sl_endpoint_listen(&endpoint, &fd, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_socket_of_a_dead_server_is_replaced(void **state)
{
	struct sl_endpoint endpoint = unix_endpoint();
	_cleanup_fd_ int second = -1;
	int first;

	(void)state;
	assert_int_equal(sl_endpoint_listen(&endpoint, &first, NULL), 0);
	close(first);
	assert_int_equal(sl_endpoint_listen(&endpoint, &second, NULL), 0);
}

static void a_socket_that_answers_is_left_alone(void **state)
{
	struct sl_endpoint endpoint = unix_endpoint();
	_cleanup_fd_ int first = -1, client = -1;
	struct sl_error err;
	int second = -77;

	(void)state;
	assert_int_equal(sl_endpoint_listen(&endpoint, &first, NULL), 0);
	assert_int_equal(sl_endpoint_listen(&endpoint, &second, &err), -EADDRINUSE);
	assert_int_equal(second, -77);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(sl_endpoint_connect(&endpoint, &client, NULL), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct sl_endpoint endpoint = unix_endpoint();
	FILE *file = fopen(path, "w");
	struct sl_error err;
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(file);
	fputs("precious", file);
	fclose(file);
	assert_int_equal(sl_endpoint_listen(&endpoint, &fd, &err), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 8);
}

static void a_port_in_use_is_an_error_with_the_address(void **state)
{
	struct sl_endpoint endpoint;
	_cleanup_fd_ int first = -1;
	struct sl_error err;
	char text[32];
	uint16_t port;
	int second;

	(void)state;
	assert_int_equal(sl_endpoint_parse("127.0.0.1:0", &endpoint, NULL), 0);
	assert_int_equal(sl_endpoint_listen(&endpoint, &first, NULL), 0);
	assert_int_equal(sl_endpoint_port(first, &port), 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	assert_int_equal(sl_endpoint_parse(text, &endpoint, NULL), 0);
	assert_int_equal(sl_endpoint_listen(&endpoint, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, text));
}

static void a_server_removes_its_socket_file_but_not_a_successors(void **state)
{
	struct event_base *base = event_base_new();
	struct sl_grpc_server *first, *second;
	struct stat st;

	(void)state;
	assert_int_equal(sl_grpc_server_new(base, NULL, &first, NULL), 0);
	assert_int_equal(sl_grpc_listen_unix(first, path, NULL), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sl_grpc_server_new(base, NULL, &second, NULL), 0);
	assert_int_equal(sl_grpc_listen_unix(second, path, NULL), 0);
	sl_grpc_server_free(first);
	assert_int_equal(stat(path, &st), 0);
	sl_grpc_server_free(second);
	assert_int_equal(stat(path, &st), -1);
	event_base_free(base);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(addresses_of_all_three_kinds_are_parsed),
		CASE(a_bad_address_is_refused_and_named),
		CASE(a_socket_path_above_107_bytes_is_refused),
		CASE(a_unix_socket_is_its_owners_only),
		CASE(a_socket_of_a_dead_server_is_replaced),
		CASE(a_socket_that_answers_is_left_alone),
		CASE(a_file_that_is_no_socket_is_left_alone),
		CASE(a_port_in_use_is_an_error_with_the_address),
		CASE(a_server_removes_its_socket_file_but_not_a_successors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
