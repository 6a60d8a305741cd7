// SPDX-License-Identifier: Apache-2.0
/*
 * Files in bpffs. The name of a hook's pin says all that is needed to find the
 * hook again: kind, ifindex (a device made anew under the same name has
 * another one) and interface. bpffs refuses dots in names, so those of an
 * interface (eth0.100) are written %2e.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath/internal.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif

static const char *const hook_names[] = {
	[SL_HOOK_TC_INGRESS] = "tc-ingress",
	[SL_HOOK_TC_EGRESS] = "tc-egress",
	[SL_HOOK_XDP] = "xdp",
	[SL_HOOK_CLSACT] = "clsact",
};

static const char replacing_suffix[] = "+new";

const char *sl_hook_name(enum sl_hook_kind kind)
{
	return hook_names[kind];
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int mount_bpffs(struct sl_error *err)
{
	if (is_bpffs(SL_BPFFS))
		return 0;
	if (mount("bpf", SL_BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "mode=0700") < 0)
		return sl_error(err, errno,
				"pin_path: no bpffs at " SL_BPFFS
				" and mounting it fails: %s; before the start, run as "
				"root: mount -t bpf bpf " SL_BPFFS,
				strerror(errno));
	sl_log(SL_LOG_INFO, "bpffs-mounted", "path", "%s", SL_BPFFS, NULL);
	return 0;
}

static int check_pin_path(const char *pin_path, struct sl_error *err)
{
	size_t length = strlen(pin_path);

	if (pin_path[0] != '/' || length < 2 || pin_path[length - 1] == '/')
		return sl_error(err, EINVAL,
				"pin_path: '%s' is not an absolute path without a slash at its end",
				pin_path);
	if (strncmp(pin_path, SL_BPFFS "/", sizeof(SL_BPFFS)) == 0 && strchr(pin_path, '.'))
		return sl_error(err, EINVAL, "pin_path: '%s': bpffs allows no dots in names", pin_path);
	return 0;
}

/* Makes every missing directory of path that lies on a bpffs. */
static int make_directories(const char *path, struct sl_error *err)
{
	char part[SL_PIN_PATH_SIZE];
	bool on_bpffs = false;

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = part; slash; *slash = '/') {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		on_bpffs = is_bpffs(part) || on_bpffs;
		if (on_bpffs && mkdir(part, 0700) < 0 && errno != EEXIST)
			return sl_error(err, errno, "pin_path: mkdir %s: %s", part, strerror(errno));
		if (!slash)
			break;
	}
	if (!is_bpffs(path))
		return sl_error(err, EINVAL, "pin_path: %s is not on a bpffs", path);
	return 0;
}

int sl_pins_prepare(const char *pin_path, struct sl_error *err)
{
	static const char *const directories[] = {"maps", "links", "hooks"};
	char path[SL_PIN_PATH_SIZE];
	int r;

	r = check_pin_path(pin_path, err);
	if (r == 0 && strncmp(pin_path, SL_BPFFS "/", sizeof(SL_BPFFS)) == 0)
		r = mount_bpffs(err);
	for (size_t i = 0; r == 0 && i < SL_ARRAY_SIZE(directories); i++) {
		snprintf(path, sizeof(path), "%s/%s", pin_path, directories[i]);
		r = make_directories(path, err);
	}
	return r;
}

int sl_pins_lock(const char *pin_path, int *fd, struct sl_error *err)
{
	_cleanup_fd_ int lock = -1;

	lock = open(pin_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return sl_error(err, errno, "pin_path: %s: %s", pin_path, strerror(errno));
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return sl_error(err, EBUSY,
					"pin_path: %s is in use by another process: is an agent running?",
					pin_path);
		return sl_error(err, errno, "pin_path: locking %s: %s", pin_path, strerror(errno));
	}
	*fd = SL_TAKE_FD(lock);
	return 0;
}

void sl_pin_path(const char *pin_path, const struct sl_pin *pin, char out[SL_PIN_PATH_SIZE])
{
	char name[3 * sizeof(pin->interface)];
	size_t used = 0;

	for (const char *c = pin->interface; *c; c++) {
		if (*c == '.' || *c == '%')
			used += (size_t)snprintf(name + used, sizeof(name) - used, "%%%02x",
						 (unsigned int)*c);
		else
			name[used++] = *c;
	}
	name[used] = '\0';
	snprintf(out, SL_PIN_PATH_SIZE, "%s/%s/%s-%u-%s%s", pin_path, pin->link ? "links" : "hooks",
		 hook_names[pin->kind], pin->ifindex, name, pin->replacing ? replacing_suffix : "");
}

static bool parse_interface(const char *text, size_t length, char out[16])
{
	size_t used = 0;

	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (used == 15)
			return false;
		if (c == '%') {
			unsigned int code;

			if (i + 2 >= length || sscanf(text + i + 1, "%2x", &code) != 1)
				return false;
			c = (char)code;
			i += 2;
		}
		out[used++] = c;
	}
	out[used] = '\0';
	return used > 0;
}

static bool parse_name(const char *name, bool link, struct sl_pin *out)
{
	struct sl_pin pin = {.link = link};
	size_t length;
	char *rest;

	for (size_t kind = 0; kind < SL_ARRAY_SIZE(hook_names); kind++) {
		size_t prefix = strlen(hook_names[kind]);

		if (strncmp(name, hook_names[kind], prefix) != 0 || name[prefix] != '-')
			continue;
		pin.kind = (enum sl_hook_kind)kind;
		pin.ifindex = (unsigned int)strtoul(name + prefix + 1, &rest, 10);
		if (pin.ifindex == 0 || *rest != '-')
			return false;
		rest++;
		length = strlen(rest);
		if (length > sizeof(replacing_suffix) - 1 &&
		    strcmp(rest + length - (sizeof(replacing_suffix) - 1), replacing_suffix) == 0) {
			pin.replacing = true;
			length -= sizeof(replacing_suffix) - 1;
		}
		if (!parse_interface(rest, length, pin.interface))
			return false;
		*out = pin;
		return true;
	}
	return false;
}

void sl_pin_remove(const char *pin_path, const struct sl_pin *pin)
{
	char path[SL_PIN_PATH_SIZE];

	sl_pin_path(pin_path, pin, path);
	if (unlink(path) < 0 && errno != ENOENT)
		sl_log(SL_LOG_WARNING, "unpin-failed", "path", "%s", path, "error", "%s", strerror(errno),
		       NULL);
}

bool sl_pin_equal(const struct sl_pin *a, const struct sl_pin *b)
{
	return a->link == b->link && a->kind == b->kind && a->ifindex == b->ifindex &&
	       strcmp(a->interface, b->interface) == 0 && a->replacing == b->replacing;
}

int sl_pin_object(int fd, const char *path, struct sl_error *err)
{
	int r = bpf_obj_pin(fd, path);

	return r < 0 ? sl_error(err, -r, "pin %s: %s", path, strerror(-r)) : 0;
}

static void free_names(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* -ENOENT is an empty directory. */
static int read_directory(const char *path, struct dirent ***names, struct sl_error *err)
{
	int count = scandir(path, names, NULL, alphasort);

	if (count < 0 && errno != ENOENT)
		return sl_error(err, errno, "reading %s: %s", path, strerror(errno));
	if (count < 0) {
		*names = NULL;
		return 0;
	}
	return count;
}

int sl_pins_list(const char *pin_path, struct sl_pin **out, size_t *count, struct sl_error *err)
{
	_cleanup_free_ struct sl_pin *pins = NULL;
	size_t used = 0;

	for (int link = 0; link < 2; link++) {
		char path[SL_PIN_PATH_SIZE];
		struct dirent **names;
		struct sl_pin *bigger;
		int n;

		snprintf(path, sizeof(path), "%s/%s", pin_path, link ? "links" : "hooks");
		n = read_directory(path, &names, err);
		if (n < 0)
			return n;
		bigger = realloc(pins, (used + (size_t)n + 1) * sizeof(*pins));
		if (!bigger) {
			free_names(names, n);
			return sl_error(err, ENOMEM, "reading %s: out of memory", path);
		}
		pins = bigger;
		for (int i = 0; i < n; i++)
			if (parse_name(names[i]->d_name, link, &pins[used]))
				used++;
		free_names(names, n);
	}
	*out = SL_TAKE(pins);
	*count = used;
	return 0;
}

int sl_pins_remove_maps(const char *pin_path, struct sl_error *err)
{
	char directory[SL_PIN_PATH_SIZE];
	struct dirent **names;
	int r = 0;
	int n;

	snprintf(directory, sizeof(directory), "%s/maps", pin_path);
	n = read_directory(directory, &names, err);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		char path[SL_PIN_PATH_SIZE + sizeof(names[i]->d_name) + 1];

		if (names[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
		if (unlink(path) < 0 && errno != ENOENT)
			r = sl_error(err, errno, "unpin %s: %s", path, strerror(errno));
	}
	free_names(names, n);
	return r;
}

void sl_pins_remove_directories(const char *pin_path)
{
	static const char *const directories[] = {"/maps", "/links", "/hooks", ""};
	char path[SL_PIN_PATH_SIZE];

	for (size_t i = 0; i < SL_ARRAY_SIZE(directories); i++) {
		snprintf(path, sizeof(path), "%s%s", pin_path, directories[i]);
		if (rmdir(path) < 0 && errno != ENOENT)
			sl_log(SL_LOG_WARNING, "rmdir-failed", "path", "%s", path, "error", "%s",
			       strerror(errno), NULL);
	}
}
