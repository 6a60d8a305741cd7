/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side as the agent sees it: pinned maps in its memory, programs on
 * their hooks. Everything that must survive the agent lives in the pins:
 *
 *   PIN_PATH/maps/NAME    every map of bpf/maps.h
 *   PIN_PATH/links/...    attachments made by bpf_link
 *   PIN_PATH/hooks/...    what --detach needs for attachments without a link
 *
 * One process at a time works on a PIN_PATH: a lock on the directory.
 * SLUICE_NO_TCX=1 in the environment: tc hooks are clsact filters, as on a
 * kernel without tcx (before Linux 6.6).
 */
#ifndef SL_DATAPATH_H
#define SL_DATAPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "sluice/events.h"
#include "sluice/maps.h"
#include "sluice/meter.h"
#include "sluice/quota.h"

#define SL_DATAPATH_DEVICES 16 /* per role */

enum sl_datapath_mode { SL_MODE_AUTO, SL_MODE_TC, SL_MODE_XDP };
enum sl_device_role { SL_ROLE_ACCESS, SL_ROLE_CORE };

struct sl_datapath_limits {
	uint32_t sessions;
	uint32_t usage;	   /* (session, rule, version) slots, default drops included */
	uint32_t rules;	   /* distinct rule contents */
	uint32_t flows;	   /* flow descriptions of those */
	uint32_t matches;  /* blocks of SLUICE_MATCH_BLOCK entries, per family; and as many branches */
	uint32_t bindings; /* overflow bindings */
	uint32_t meters;   /* rates that are policed, beside those of the link and of APNs */
	uint32_t quotas;   /* of rules, rating groups and sessions */

	/* tables of the IDS, keys at once; 0: a table of one entry, for who has no such rules */
	uint32_t ids_blocks;  /* and as many records of offenders */
	uint32_t ids_buckets; /* keys of subscribers, and as many of keys from outside */
	uint32_t ids_windows;
	uint32_t ids_logs;
	uint32_t ids_sets;
	uint32_t ids_connections;
};

struct sl_datapath_config {
	char pin_path[200];
	enum sl_datapath_mode mode;
	bool unknown_drop;
	bool vlans; /* an APN has one: tags are taken off at core devices, which must be Ethernet */
	struct sl_datapath_limits limits;
	struct {
		char name[16];
		enum sl_device_role role;
	} device[2 * SL_DATAPATH_DEVICES];
	unsigned int device_count;
};

/* The maps in memory. Sizes are those of the pinned maps, which may differ from the configuration. */
struct sl_maps {
	struct sl_datapath_limits size; /* policies has size.sessions * 5/4 + 64 slots */
	uint32_t policy_count;
	struct sluice_policy *policies;
	struct sluice_binding *bindings;
	struct sluice_match4_block *matches4;
	struct sluice_match6_block *matches6;
	struct sluice_branch *branches; /* size.matches of them */
	struct sluice_usage *usage;
	struct sluice_usage_owner *usage_owners;
	struct sluice_meter *meters;
	struct sluice_session_record *sessions;
	struct sluice_rule_record *rules;
	struct sluice_flow *flows;
	/* As many as usage slots: slot in quotas + 1, 0: none. An element of an array map has 8 bytes at
	 * least. */
	uint64_t *quota_of;
	struct sluice_quota *quotas;
	struct sluice_quota_owner *quota_owners;
	struct sluice_mark *marks;   /* SLUICE_MARK_MASK + 1 of them */
	uint64_t *vlans;	     /* SLUICE_VLANS of them; 1: an APN has it */
	struct sluice_steer *steers; /* SLUICE_STEERS of them */
	struct sluice_settings *settings;
};

struct sl_datapath;

/*
 * Mounts bpffs at /sys/fs/bpf if it may and must, opens the pinned maps or
 * makes them, loads the programs. `adopted` says whether pinned maps were
 * there. Pins of another SLUICE_LAYOUT: -EPROTO and how to detach. -EBUSY
 * while another process has them open.
 * Programs are not attached yet.
 */
int sl_datapath_open(const struct sl_datapath_config *config, struct sl_datapath **out, bool *adopted,
		     struct sl_error *err);
void sl_datapath_close(struct sl_datapath *datapath); /* enforcement stays */

struct sl_maps *sl_datapath_maps(struct sl_datapath *datapath);

/*
 * Puts the programs on their hooks, or replaces the ones of an earlier run
 * without a gap. What another owner put in the way is an error that names it.
 */
int sl_datapath_attach(struct sl_datapath *datapath, struct sl_error *err);

/* Takes the programs off and unpins everything; the qdiscs are the qos module's. */
int sl_datapath_detach(struct sl_datapath *datapath, struct sl_error *err);

/*
 * The same from the pins alone, whatever layout they have and without opening
 * them: what `sluiced --detach` calls. -EBUSY while an agent runs on them; 0
 * when there are none.
 */
int sl_datapath_remove(const char *pin_path, struct sl_error *err);

/* One hook as it is now. */
struct sl_hook_status {
	char interface[16];
	unsigned int ifindex;
	enum sl_device_role role;
	const char *hook;      /* "xdp", "tc-ingress", "tc-egress" */
	const char *mechanism; /* "tcx-link", "clsact", "xdp-dispatcher", "xdp-native", "xdp-generic" */
	char reason[160];      /* why this and no other */
	bool attached;	       /* asked of the kernel, not remembered */
};
size_t sl_datapath_hooks(struct sl_datapath *datapath, struct sl_hook_status *out, size_t max);

/* The one write that publishes: address -> policy. */
int sl_endpoint_set(struct sl_datapath *datapath, const struct sl_address *address,
		    const struct sluice_endpoint *endpoint, struct sl_error *err);
int sl_endpoint_delete(struct sl_datapath *datapath, const struct sl_address *address, struct sl_error *err);
/* -ENOENT when there is none. */
int sl_endpoint_get(struct sl_datapath *datapath, const struct sl_address *address,
		    struct sluice_endpoint *out);
/* Calls visit for every endpoint of both families (adoption); visit's non-zero ends it and is returned. */
int sl_endpoint_each(struct sl_datapath *datapath,
		     int (*visit)(const struct sl_address *address, const struct sluice_endpoint *endpoint,
				  void *user),
		     void *user);
/*
 * The same for one family in steps of about `max` entries. *position is 0 at the
 * start and opaque after it; 0 again at the end. Entries that are there all the
 * time are visited, each once or more.
 */
int sl_endpoint_walk(struct sl_datapath *datapath, uint32_t family, uint64_t *position, uint32_t max,
		     int (*visit)(const struct sl_address *address, const struct sluice_endpoint *endpoint,
				  void *user),
		     void *user);
/*
 * The index of endpoints that packets try first, compared in steps of `max`
 * buckets: `wanted` says which slot in policies an address is to lead to, SLUICE_NONE
 * if none; it leads to `found`. *position as in sl_endpoint_walk. Returns how many entries were
 * wrong; they are put right.
 */
uint32_t
sl_endpoint_index_check(struct sl_datapath *datapath, uint32_t family, uint64_t *position, uint32_t max,
			uint32_t (*wanted)(const struct sl_address *address, uint32_t found, void *user),
			void *user);
/* Puts an address into the index that is not in it, if there is room; it had none, perhaps, so far. */
void sl_endpoint_index_fill(struct sl_datapath *datapath, const struct sl_address *address, uint32_t policy);
uint32_t sl_endpoint_count(struct sl_datapath *datapath, uint32_t family); /* counted in the kernel */

/*
 * Gives the packets for the portal a listening TCP socket of that family (key 4
 * or 6). The kernel takes it out when the socket is closed, also by a death of
 * the agent: then those packets are dropped as `portal-down`.
 */
int sl_portal_set(struct sl_datapath *datapath, uint32_t family, int socket, struct sl_error *err);

/* A device and the transmit queues of it that have an HTB. */
struct sl_egress_device {
	unsigned int ifindex;
	uint32_t queues;
};

/*
 * Where packets with a class go: exactly these devices, at most SLUICE_EGRESS_DEVICES of
 * those with more than one queue. *changed (may be NULL): whether the map was not so already.
 */
int sl_egress_devices_set(struct sl_datapath *datapath, const struct sl_egress_device *devices, size_t count,
			  bool *changed, struct sl_error *err);

struct sl_neighbour {
	struct sluice_neighbour key;
	uint32_t vlan;
};

/*
 * Routers behind VLANs: exactly these, each once, in the order of sl_neighbour_compare. *changed:
 * how many of the map were missing, others or too many. -E2BIG: more than SLUICE_APNS *
 * SLUICE_APN_NEIGHBOURS.
 */
int sl_neighbour_compare(const void *a, const void *b);
int sl_neighbours_set(struct sl_datapath *datapath, const struct sl_neighbour *neighbours, size_t count,
		      uint32_t *changed, struct sl_error *err);

/* Sums over CPUs. */
int sl_drops_read(struct sl_datapath *datapath,
		  struct sluice_counter out[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS]);
int sl_passes_read(struct sl_datapath *datapath,
		   struct sluice_counter out[SLUICE_PASS_KIND_COUNT][SLUICE_DIRECTIONS]);
uint64_t sl_lost_events_read(struct sl_datapath *datapath);
uint64_t sl_answers_withheld_read(struct sl_datapath *datapath);

/*
 * Records of quotas, and of drops while somebody watches; the fd is for poll, `consume` calls back for each
 * record. on_quota may be NULL.
 */
void sl_watch_drops(struct sl_datapath *datapath, bool on);
int sl_events_fd(struct sl_datapath *datapath);
int sl_events_consume(struct sl_datapath *datapath,
		      void (*on_drop)(const struct sluice_drop_event *event, void *user),
		      void (*on_quota)(const struct sluice_quota_event *event, void *user), void *user);

#endif
