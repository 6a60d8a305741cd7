/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices for tests of the queues, in a network namespace of the test's process:
 *
 *	up0 ---- up0p		core devices (uplink classes); up0 is 10.9.0.1/24
 *	up1 ---- up1p
 *	down0 -- down0p		access device (downlink classes)
 *
 * Whatever goes wrong in here fails the running cmocka test with a message.
 */
#ifndef QOS_LINKS_H
#define QOS_LINKS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "qos/htb.h"
#include "qos/qos.h"

#define MBIT 1000000ull
#define GBIT 1000000000ull
#define POOL 40u

/* A maximum and no guarantee. */
#define MBR(rate) (&(const struct sl_qos_rates){.mbr = (rate)})

/* cmocka fixtures: once a program, then around each test. */
int qos_make_namespace(void **state);
int qos_make_links(void **state);
int qos_remove_links(void **state);
#define QOS_TEST(function) cmocka_unit_test_setup_teardown(function, qos_make_links, qos_remove_links)

void qos_shell(const char *command);
bool qos_tool_says(const char *command, const char *wanted);
double qos_clock(clockid_t clock);

/* A link of 10 Gbit/s with up to two core devices and an access device, NULL = none. */
struct sl_qos_config qos_config_of(uint32_t pool_size, const char *up0, const char *up1, const char *down);
struct sl_qos *qos_open(const struct sl_qos_config *config);
void qos_build_all(struct sl_qos *qos);

/* What the kernel has on a device, by minor; valid until the next look. */
struct qos_view {
	struct sl_htb_root root;
	unsigned int classes, with_leaf;
	struct sl_htb_class class[0x8000];
};
const struct qos_view *qos_look(const char *name);
uint64_t qos_rate_on(const char *name, uint16_t minor);

#endif
