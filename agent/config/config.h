/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's configuration: one YAML file, read once at the start. Every key
 * stands with its meaning and default in deploy/sluice.yaml. A file with any
 * error is refused whole; nothing is read from the kernel here.
 */
#ifndef SL_CONFIG_H
#define SL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"

#define SL_CONFIG_INTERFACES 16 /* per role; more is refused */
#define SL_CONFIG_NAME_SIZE  16 /* of an interface, as IFNAMSIZ */

/* Start without a session manager's setup, or wait for one. */
enum sl_config_startup { SL_STARTUP_WAIT_FOR_SETUP, SL_STARTUP_SERVE };
enum sl_config_unknown { SL_UNKNOWN_DROP, SL_UNKNOWN_PASS };
enum sl_config_mode { SL_CONFIG_MODE_AUTO, SL_CONFIG_MODE_TC, SL_CONFIG_MODE_XDP };

struct sl_config_interface {
	char name[SL_CONFIG_NAME_SIZE];
	unsigned int line; /* in the file, for messages */
};

struct sl_config_interfaces {
	struct sl_config_interface list[SL_CONFIG_INTERFACES];
	unsigned int count; /* at least 1 */
};

struct sl_config {
	char path[256]; /* of the file, for messages */

	/* No name is there twice, in one role or in both. */
	struct sl_config_interfaces access; /* subscribers' side */
	struct sl_config_interfaces core;   /* the networks' side */

	struct {
		char tcp[64];	  /* "127.0.0.1:50063", "[::1]:50063" */
		char socket[108]; /* absolute path; sun_path's size (unix(7)) */
	} api;

	struct {
		bool configured;
		char address[64];
		uint32_t report_interval_ms;
	} session_manager;

	char pin_path[200]; /* below /sys/fs/bpf */
	enum sl_config_startup startup;
	enum sl_config_unknown unknown_subscriber;
	enum sl_config_mode mode;
	enum sl_log_level log_level;

	struct {
		uint32_t pool;	       /* HTB classes per direction, 0 to 32,752; 0: no shaping */
		uint64_t link_rate;    /* bit/s, 1 Mbit to 1 Tbit */
		uint64_t default_rate; /* bit/s, 8 kbit to link_rate; link_rate if the file says nothing */
	} qos;

	/*
	 * Sizes of the maps when they are made; pinned maps of an earlier run keep
	 * theirs. What happens at the bound stands at each number of maps.
	 */
	struct {
		uint32_t sessions; /* 16 to 1,048,576; one more session is refused */
		uint32_t usage;	   /* 64 to 16,777,216, at least 2 per session; no slot: the rule fails */
		uint32_t rules;	   /* 16 to 1,048,576 distinct contents; no slot: the rule fails */
		uint32_t flows;	   /* 16 to 4,194,304 flows of those; no room: the rule fails */
		uint32_t matches;  /* 64 to 1,048,576 blocks per family; no room: the request fails */
		uint32_t bindings; /* 64 to 16,777,216 overflow bindings; no room: the request fails */
	} limits;
};

/* 0, -EINVAL for content, otherwise the errno of reading the file. */
int sl_config_load(const char *path, struct sl_config *out, struct sl_error *err);

/*
 * Whether every interface exists in this network namespace; -ENODEV with file,
 * line, and the interfaces that there are.
 */
int sl_config_check_interfaces(const struct sl_config *config, struct sl_error *err);

#endif
