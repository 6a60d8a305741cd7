/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of the datapath on the running kernel: a network namespace of the
 * test's own, pins under /sys/fs/bpf/sluice-test-PID, programs of "others".
 */
#ifndef SL_DATAPATH_FIXTURE_H
#define SL_DATAPATH_FIXTURE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath/datapath.h"

/* cmocka group setup and teardown: namespace, bpffs, pins of dead predecessors. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* cmocka test setup and teardown: the veth pairs ue0-access0 and core0-inet0, all up; no pins. */
int fixture_devices(void **state);
int fixture_no_devices(void **state);

const char *fixture_pin_path(void);
/* access0 and core0, tc, unknown subscribers dropped, small limits. */
struct sl_datapath_config fixture_config(void);

/* By /bin/sh; fails the test when it fails. */
void fixture_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Its exit status is 0. */
bool fixture_succeeds(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct sl_datapath *fixture_open(const struct sl_datapath_config *config, bool expect_adopted);
/* What is still open is closed by fixture_no_devices. */
void fixture_close(struct sl_datapath *datapath);
void fixture_attach(struct sl_datapath *datapath);
/* Opens and attaches, as a start of the agent does. */
struct sl_datapath *fixture_start(const struct sl_datapath_config *config, bool expect_adopted);
/* The hook of one interface; fails the test if there is none. */
struct sl_hook_status fixture_hook(struct sl_datapath *datapath, const char *interface, const char *hook);
bool fixture_has_hook(struct sl_datapath *datapath, const char *interface, const char *hook);

/* Skips the test on a kernel without tcx (before Linux 6.6). */
void fixture_need_tcx(void);

/* A program that returns `verdict`; an fd. */
int fixture_program(uint32_t type, const char *name, int verdict);
/* At the end of (or before everything on) a tcx hook, without a link. `ingress` 0 or 1. */
int fixture_tcx_attach(int program, const char *interface, bool ingress, bool first);
int fixture_tcx_detach(int program, const char *interface, bool ingress);
/* Programs on a tcx hook. */
unsigned int fixture_tcx_count(const char *interface, bool ingress);
/* The first of them. */
struct bpf_prog_info fixture_tcx_program(const char *interface, bool ingress);

/* For good: user `uid`, with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON and nothing else. -errno. */
int fixture_drop_capabilities(unsigned int uid);

#endif
