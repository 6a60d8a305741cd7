/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of datapath/ share with each other and with nobody else. */
#ifndef SL_DATAPATH_INTERNAL_H
#define SL_DATAPATH_INTERNAL_H

#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "datapath/datapath.h"
#include "datapath/ids_maps.h"
#include "datapath/places.h"
#include "datapath/index.h"

#define SL_BPFFS "/sys/fs/bpf"

/* --- maps -------------------------------------------------------------------- */

enum sl_map {
	SL_MAP_ENDPOINTS4,
	SL_MAP_ENDPOINTS6,
	SL_MAP_INDEX4,
	SL_MAP_INDEX6,
	SL_MAP_POLICIES,
	SL_MAP_BINDINGS,
	SL_MAP_MATCHES4,
	SL_MAP_MATCHES6,
	SL_MAP_BRANCHES,
	SL_MAP_USAGE,
	SL_MAP_USAGE_OWNERS,
	SL_MAP_SESSIONS,
	SL_MAP_RULES,
	SL_MAP_FLOWS,
	SL_MAP_METERS,
	SL_MAP_QUOTA_OF,
	SL_MAP_QUOTAS,
	SL_MAP_QUOTA_OWNERS,
	SL_MAP_MARKS,
	SL_MAP_VLANS,
	SL_MAP_NEIGHBOURS,
	SL_MAP_EGRESS_DEVICES,
	SL_MAP_STEERS,
	SL_MAP_PORTAL,
	SL_MAP_DROPS,
	SL_MAP_PASSES,
	SL_MAP_LOST_EVENTS,
	SL_MAP_ANSWERS,
	SL_MAP_EVENTS,
	SL_MAP_IDS_SETTINGS,
	SL_MAP_IDS_RULES,
	SL_MAP_IDS_MATCHES,
	SL_MAP_IDS_RULE_COUNTS,
	SL_MAP_IDS_TABLE_COUNTS,
	SL_MAP_IDS_DROPPED,
	SL_MAP_IDS_BLOCKS,
	SL_MAP_IDS_OFFENDERS,
	SL_MAP_IDS_NOTES,
	SL_MAP_IDS_OVERRIDES,
	SL_MAP_IDS_BUCKET_KEYS,
	SL_MAP_IDS_BUCKETS,
	SL_MAP_IDS_BUCKETS_LRU,
	SL_MAP_IDS_WINDOW_KEYS,
	SL_MAP_IDS_WINDOWS,
	SL_MAP_IDS_LOG_KEYS,
	SL_MAP_IDS_LOGS,
	SL_MAP_IDS_PLACE_LOCKS,
	SL_MAP_IDS_SETS,
	SL_MAP_IDS_CONNECTIONS,
	SL_MAP_IDS_SKETCH,
	SL_MAP_IDS_EVENTS,
	SL_MAP_SETTINGS, /* pinned last, and its layout written after that: the set is complete */
	SL_MAP_COUNT,
};

/* Opens the pins of an earlier run into datapath->map_fd; `adopted` false: there were none worth keeping. */
int sl_maps_open_pins(struct sl_datapath *datapath, bool *adopted, struct sl_error *err);
/* Before load: sizes from the configuration, or the fds of the pins. */
int sl_maps_prepare_object(struct sl_datapath *datapath, struct bpf_object *object, struct sl_error *err);
/* After load of new maps: takes their fds and pins them. */
int sl_maps_pin(struct sl_datapath *datapath, struct bpf_object *object, struct sl_error *err);
/* The index of endpoints from the endpoints themselves. */
int sl_endpoints_reindex(struct sl_datapath *datapath);
/* mmap and sizes; new maps get their labels and, last, the layout. */
int sl_maps_map(struct sl_datapath *datapath, bool adopted, struct sl_error *err);
void sl_maps_close(struct sl_datapath *datapath);

/* --- pins -------------------------------------------------------------------- */

#define SL_PIN_PATH_SIZE 320

enum sl_hook_kind {
	SL_HOOK_TC_INGRESS,
	SL_HOOK_TC_EGRESS,
	SL_HOOK_XDP,
	SL_HOOK_CLSACT, /* no hook, a marker: this qdisc is ours */
};

/* A file below PIN_PATH/links (a bpf_link) or PIN_PATH/hooks (a program), named after what it holds on to. */
struct sl_pin {
	bool link;
	enum sl_hook_kind kind;
	unsigned int ifindex;
	char interface[16];
	bool replacing; /* the program that is about to take the place of the one without */
};

const char *sl_hook_name(enum sl_hook_kind kind);
/* Checks pin_path, mounts bpffs if needed, makes the directories. */
int sl_pins_prepare(const char *pin_path, struct sl_error *err);
/* One agent at a time: a lock on PIN_PATH, held as long as the fd is open. -EBUSY when another one has it. */
int sl_pins_lock(const char *pin_path, int *fd, struct sl_error *err);
void sl_pin_path(const char *pin_path, const struct sl_pin *pin, char out[SL_PIN_PATH_SIZE]);
void sl_pin_remove(const char *pin_path, const struct sl_pin *pin);
bool sl_pin_equal(const struct sl_pin *a, const struct sl_pin *b);
int sl_pin_object(int fd, const char *path, struct sl_error *err);
/* All pins of both directories, in a list the caller frees. */
int sl_pins_list(const char *pin_path, struct sl_pin **out, size_t *count, struct sl_error *err);
/* Unlinks PIN_PATH/maps/ and removes the directories that are empty then. */
int sl_pins_remove_maps(const char *pin_path, struct sl_error *err);
void sl_pins_remove_directories(const char *pin_path);

/* --- devices ----------------------------------------------------------------- */

struct sl_device {
	char name[16];
	unsigned int ifindex;
	bool ethernet;	 /* packets begin with an Ethernet header */
	bool hardware;	 /* a device on a bus, not a virtual one */
	char driver[32]; /* "veth", "virtio_net"; empty if it does not say */
};

/* -ENODEV and -EOPNOTSUPP (a link layer that no program understands) name the interface. */
int sl_device_read(const char *name, struct sl_device *out, struct sl_error *err);

/* --- programs and hooks ------------------------------------------------------ */

enum sl_program {
	SL_PROGRAM_ACCESS_INGRESS,
	SL_PROGRAM_ACCESS_INGRESS_L3,
	SL_PROGRAM_ACCESS_EGRESS,
	SL_PROGRAM_ACCESS_EGRESS_L3,
	SL_PROGRAM_CORE_EGRESS,
	SL_PROGRAM_CORE_INGRESS,
	SL_PROGRAM_COUNT,
};

struct sl_hook {
	struct sl_pin pin;
	enum sl_device_role role;
	bool fresh; /* made by this start, not taken over */
	const char *mechanism;
	char reason[160];
	uint32_t program_id;
};

struct sluice_tc;

/* libbpf and libxdp write to the log (debug); what they complained of first since `listen`, "" if nothing. */
const char *sl_library_message(void);
void sl_library_listen(void);

int sl_programs_load(struct sl_datapath *datapath, bool adopted, struct sl_error *err);
/* Negative for a program that no device needed at the start. */
int sl_program_fd(const struct sl_datapath *datapath, enum sl_program program);
/* 0 when the fd is no program. */
uint32_t sl_program_id(int fd);
/* By CAP_SYS_ADMIN: may programs be opened by id? */
bool sl_program_ids_allowed(const struct sl_datapath *datapath);
/* The name of a program, "" where it may not be read. */
void sl_program_name(uint32_t id, char out[BPF_OBJ_NAME_LEN]);

/* Attaches or replaces; fills mechanism, reason, fresh, program_id and pin. */
int sl_tc_attach(struct sl_datapath *datapath, const struct sl_device *device, struct sl_hook *hook,
		 int program_fd, struct sl_error *err);
int sl_clsact_attach(struct sl_datapath *datapath, const struct sl_device *device, struct sl_hook *hook,
		     int program_fd, struct sl_error *err);
int sl_xdp_attach(struct sl_datapath *datapath, const struct sl_device *device, struct sl_hook *hook,
		  struct sl_error *err);
/* false: no XDP on this device, and why, for the reason of its tc hook. */
bool sl_xdp_wanted(enum sl_datapath_mode mode, const struct sl_device *device, char reason[96]);

/* Takes off what a pin names and removes the pin; another owner's program in its place stays. */
int sl_tc_take_off(const char *pin_path, const struct sl_pin *pin, struct sl_error *err);
int sl_clsact_take_off(const char *pin_path, const struct sl_pin *pin, struct sl_error *err);
int sl_clsact_remove_qdisc(const char *pin_path, const struct sl_pin *pin, struct sl_error *err);
int sl_xdp_take_off(const char *pin_path, const struct sl_pin *pin, struct sl_error *err);

/* Asks the kernel. tc: `before` is how many programs run ahead of ours on a tcx hook. */
bool sl_tc_is_attached(const char *pin_path, const struct sl_hook *hook, unsigned int *before);
bool sl_clsact_is_attached(const struct sl_hook *hook);
bool sl_xdp_is_attached(const struct sl_hook *hook);

struct sl_mapping {
	void *address;
	size_t length;
};

struct sl_datapath {
	struct sl_datapath_config config;
	struct sl_maps maps;
	struct sl_index index;
	int lock_fd;
	int map_fd[SL_MAP_COUNT];
	struct sl_mapping mapping[SL_MAP_COUNT];
	struct sluice_tc *tc;
	struct sl_hook hook[2 * SL_DATAPATH_DEVICES * 3];
	size_t hook_count;
	struct ring_buffer *ring;
	void (*on_drop)(const struct sluice_drop_event *event, void *user);
	void (*on_quota)(const struct sluice_quota_event *event, void *user);
	void *on_event_user;
	unsigned int events_consumed;

	struct sl_ids_arrays ids;
	struct sluice_counter *ids_dropped;
	uint32_t ids_dropped_size;
	struct sl_places ids_places[SLUICE_IDS_TABLES]; /* of those that have any */
	struct ring_buffer *ids_ring;
	void (*on_ids)(const struct sluice_ids_event *event, void *user);
	void *on_ids_user;
	uint32_t ids_events_left;
};

/* Callback of the ring of IDS events; user: the datapath. */
int sl_ids_on_event(void *user, void *data, size_t size);

#endif
