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
#include "sluice/limits.h"

#define SL_CONFIG_INTERFACES  16 /* per role; more is refused */
#define SL_CONFIG_NAME_SIZE   16 /* of an interface, as IFNAMSIZ */
#define SL_CONFIG_NAMESERVERS 4	 /* more are refused */

/* APNs with an interface; each takes up to two of SLUICE_STEERS, and rules want some. More are refused. */
#define SL_CONFIG_APN_INTERFACES 16

/* Start without a session manager's setup, or wait for one. */
enum sl_config_startup { SL_STARTUP_WAIT_FOR_SETUP, SL_STARTUP_SERVE };
enum sl_config_unknown { SL_UNKNOWN_DROP, SL_UNKNOWN_PASS };
enum sl_config_leaf { SL_CONFIG_LEAF_AUTO, SL_CONFIG_LEAF_FIFO, SL_CONFIG_LEAF_FQ_CODEL };

enum sl_config_backend { SL_CONFIG_BACKEND_AUTO, SL_CONFIG_BACKEND_SHAPE, SL_CONFIG_BACKEND_POLICE };
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
		uint32_t max_report; /* bytes of one message, 1 MiB to 1 GiB */
	} session_manager;

	bool deny_as_default_drop;  /* reports say of the default drop what rules have dropped */
	uint32_t audit_interval_ms; /* one pass over everything in the kernel */

	struct {
		char listen[64]; /* "127.0.0.1:9464"; "": no HTTP */
	} http;

	char policy_directory[200];	    /* absolute; empty: there is none */
	uint32_t desired_check_interval_ms; /* one round through all subscribers with desired rules */

	/* Where alerts go; "": not there. */
	struct {
		uint32_t alerts_per_second;   /* 2 to 100,000; what is above is counted only */
		char eve_file[200];	      /* absolute */
		uint64_t eve_max_size;	      /* bytes, 64 KiB to 4 GiB */
		uint32_t eve_keep;	      /* files beside it, 0 to 99 */
		char syslog[112];	      /* "unix:/PATH", "udp:ADDRESS:PORT" */
		bool syslog_cef;	      /* the message is a CEF line; else structured data */
		char evidence_directory[200]; /* absolute */
		uint64_t evidence_max_size;   /* bytes, 1 MiB to 1 TiB */
	} ids;

	char pin_path[200]; /* below /sys/fs/bpf */
	enum sl_config_startup startup;
	enum sl_config_unknown unknown_subscriber;
	enum sl_config_mode mode;
	enum sl_log_level log_level;

	struct {
		uint32_t portal_port;	/* 1024 to 65535; 0: no portal, rules that redirect are refused */
		bool reject;		/* what a redirect leaves no way is answered, not only dropped */
		uint32_t table;		/* of routes, for packets to the portal */
		uint32_t rule_priority; /* of the first of three rules that lead there, 1 to 32763 */
		char nameserver[SL_CONFIG_NAMESERVERS][64];
		unsigned int nameserver_count; /* 0: those of /etc/resolv.conf */
	} redirect;

	struct {
		enum sl_config_backend backend;
		uint32_t pool;	/* single HTB classes per direction; with 8 for each tree at most 32,504 */
		uint32_t trees; /* HTB trees for AMBRs per direction; no trees and no pool: no shaping */
		enum sl_config_leaf leaf;
		uint64_t link_rate;    /* bit/s, 1 Mbit to 1 Tbit */
		bool has_link_rate;    /* the file says it, so that it is kept also without queues */
		uint64_t reserve[2];   /* bit/s of link_rate that GBRs may take, uplink and downlink */
		uint64_t default_rate; /* bit/s, 8 kbit to link_rate; link_rate if the file says nothing */
	} qos;

	/* No name is there twice, whatever its case. */
	struct sl_config_apn {
		char name[SLUICE_APN_SIZE];
		unsigned int line;
		uint32_t vlan;			     /* pushed on core devices; 1 to 4094; 0: none */
		char interface[SL_CONFIG_NAME_SIZE]; /* uplink goes out there; "": as routed */
		char next_hop[2][64];		     /* an IPv4 and an IPv6 address; "": none */
		/* who is on a core device in that VLAN, next_hop included; network order */
		struct sl_config_neighbour {
			uint8_t family; /* 4, 6 */
			uint8_t address[16];
		} neighbour[SLUICE_APN_NEIGHBOURS];
		unsigned int neighbour_count; /* more are refused */
		uint64_t cap[2];	      /* bit/s of all its sessions, uplink and downlink; 0: none */
		uint64_t reserve[2];	      /* bit/s that GBRs may take; UINT64_MAX: as the link has */
	} apn[SLUICE_APNS];
	unsigned int apn_count; /* more are refused */

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
		uint32_t quotas;   /* 16 to 4,194,304; none free: the quota's request fails */
		/* Keys of IDS rules at once; none free: as the rule's when_full says */
		uint32_t ids_blocks;	  /* 64 to 1,048,576; none free: the excess is dropped without */
		uint32_t ids_buckets;	  /* 1,024 to 4,194,304; those of keys from outside give way */
		uint32_t ids_windows;	  /* 64 to 1,048,576 */
		uint32_t ids_logs;	  /* 64 to 262,144 */
		uint32_t ids_sets;	  /* 64 to 1,048,576 */
		uint32_t ids_connections; /* 64 to 4,194,304; none free: each packet that may open one counts
					   */
		uint32_t meters; /* 64 to 4,194,304; none free: the rule or, for an AMBR, the request fails */
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
