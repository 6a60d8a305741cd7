// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "generator.h"
#include "bench_generator.skel.h"

struct bench {
	struct bench_generator *programs;
	int home; /* the namespace that we came from */
	int cpu;
	pid_t ksoftirqd;
};

void bench_die(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static int open_namespace(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		bench_die("open /proc/self/ns/net: %s", strerror(errno));
	return fd;
}

static void enter(int ns)
{
	if (setns(ns, CLONE_NEWNET))
		bench_die("setns: %s", strerror(errno));
}

void rig_enter(const struct bench *bench, const struct rig *rig, enum rig_namespace where)
{
	(void)bench;
	enter(rig->ns[where]);
}

void rig_leave(const struct bench *bench)
{
	enter(bench->home);
}

/* The command's standard output, at most `size` - 1 bytes of it. */
static void run(int ns, const char *command, char *output, size_t size)
{
	size_t used = 0;
	int pipe_fds[2], status;
	pid_t child;

	if (pipe2(pipe_fds, O_CLOEXEC))
		bench_die("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		bench_die("fork: %s", strerror(errno));
	if (child == 0) {
		enter(ns);
		dup2(pipe_fds[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-ec", command, NULL);
		_exit(127);
	}
	close(pipe_fds[1]);
	for (;;) {
		char discard[512];
		bool room = used + 1 < size;
		ssize_t got = read(pipe_fds[0], room ? output + used : discard,
				   room ? size - 1 - used : sizeof(discard));

		if (got <= 0)
			break;
		if (room)
			used += (size_t)got;
	}
	output[used] = '\0';
	close(pipe_fds[0]);
	if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		bench_die("failed: %s", command);
}

void rig_run(const struct rig *rig, enum rig_namespace where, const char *format, ...)
{
	char command[4096], output[2];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	run(rig->ns[where], command, output, sizeof(output));
}

uint64_t rig_ask(const struct rig *rig, enum rig_namespace where, const char *format, ...)
{
	char command[4096], output[64];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	run(rig->ns[where], command, output, sizeof(output));
	return strtoull(output, NULL, 10);
}

static pid_t find_ksoftirqd(int cpu)
{
	char wanted[32], path[64], name[32];
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	snprintf(wanted, sizeof(wanted), "ksoftirqd/%d\n", cpu);
	while (proc && !found && (entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		_cleanup_file_ FILE *file = NULL;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		file = fopen(path, "re");
		if (file && fgets(name, sizeof(name), file) && strcmp(name, wanted) == 0)
			found = pid;
	}
	if (proc)
		closedir(proc);
	if (!found)
		bench_die("no ksoftirqd/%d in /proc", cpu);
	return found;
}

/* What the CPU spent on us: the process, and the softirqs that were put off. */
static double cpu_time_ns(const struct bench *bench)
{
	unsigned long long softirqd = 0;
	_cleanup_file_ FILE *file = NULL;
	struct timespec own;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", bench->ksoftirqd);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%llu", &softirqd) != 1)
		bench_die("cannot read %s", path);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	return (double)own.tv_sec * 1e9 + (double)own.tv_nsec + (double)softirqd;
}

struct bench *bench_new(int cpu)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	cpu_set_t set;

	if (!bench)
		bench_die("out of memory");
	if (cpu < 0)
		cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bench_die("cannot run on CPU %d: %s", cpu, strerror(errno));
	/* whoever gets the CPU in between takes the caches */
	setpriority(PRIO_PROCESS, 0, -20);
	bench->cpu = cpu;
	bench->ksoftirqd = find_ksoftirqd(cpu);
	bench->home = open_namespace();
	bench->programs = bench_generator__open_and_load();
	if (!bench->programs)
		bench_die("cannot load the generator: %s", strerror(errno));
	return bench;
}

void bench_free(struct bench *bench)
{
	if (!bench)
		return;
	bench_generator__destroy(bench->programs);
	close(bench->home);
	free(bench);
}

int bench_cpu(const struct bench *bench)
{
	return bench->cpu;
}

/*
 * A veth takes redirected frames when its receiving end has NAPI, which GRO
 * switches on (as on any real card), with or without an XDP program there.
 */
static void set_gro(const struct bench *bench, const struct rig *rig, enum rig_namespace where,
		    const char *device)
{
	struct ethtool_value value = {.cmd = ETHTOOL_SGRO, .data = 1};
	struct ifreq request = {.ifr_data = (void *)&value};
	_cleanup_fd_ int fd = -1;

	rig_enter(bench, rig, where);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request))
		bench_die("GRO on %s: %s", device, strerror(errno));
	rig_leave(bench);
}

static void attach_sink(struct bench *bench, const struct rig *rig, enum rig_namespace where,
			const char *device)
{
	int error;

	rig_enter(bench, rig, where);
	error = bpf_xdp_attach((int)if_nametoindex(device), bpf_program__fd(bench->programs->progs.sink),
			       XDP_FLAGS_DRV_MODE, NULL);
	if (error)
		bench_die("sink on %s: %s", device, strerror(-error));
	rig_leave(bench);
}

static void new_namespaces(struct bench *bench, struct rig *rig)
{
	for (int i = 0; i < RIG_NAMESPACES; i++) {
		if (unshare(CLONE_NEWNET))
			bench_die("unshare: %s", strerror(errno));
		rig->ns[i] = open_namespace();
	}
	enter(bench->home);
	for (int i = 0; i < RIG_NAMESPACES; i++)
		rig_run(rig, i,
			"ip link set lo up; echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter;"
			"echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter;"
			"echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
	rig_run(rig, RIG_UE,
		"ip link add ue0 address 02:00:00:00:01:02 type veth"
		" peer name " BENCH_ACCESS " address 02:00:00:00:01:01 netns /proc/%d/fd/%d;"
		"ip address add 10.0.1.2/24 dev ue0; ip link set ue0 up",
		getpid(), rig->ns[RIG_GATEWAY]);
	rig_run(rig, RIG_GATEWAY,
		"ip address add 10.0.1.1/24 dev " BENCH_ACCESS "; ip link set " BENCH_ACCESS " up");
	set_gro(bench, rig, RIG_GATEWAY, BENCH_ACCESS);
	rig_enter(bench, rig, RIG_UE);
	rig->ue_device = if_nametoindex("ue0");
	rig_leave(bench);
}

void rig_new(struct bench *bench, struct rig *rig)
{
	new_namespaces(bench, rig);
	rig_run(rig, RIG_INET,
		"ip link add inet0 address 02:00:00:00:02:02 type veth"
		" peer name " BENCH_CORE " address 02:00:00:00:02:01 netns /proc/%d/fd/%d;"
		"ip address add 10.0.2.2/24 dev inet0; ip link set inet0 up",
		getpid(), rig->ns[RIG_GATEWAY]);
	rig_run(rig, RIG_GATEWAY,
		"ip address add 10.0.2.1/24 dev " BENCH_CORE "; ip link set " BENCH_CORE " up;"
		"ip neigh add 10.0.2.2 lladdr 02:00:00:00:02:02 dev " BENCH_CORE " nud permanent;"
		"ip neigh add 10.0.1.2 lladdr 02:00:00:00:01:02 dev " BENCH_ACCESS " nud permanent;"
		"ip route add 198.18.0.0/15 via 10.0.2.2; ip route add 10.64.0.0/10 via 10.0.1.2;"
		"echo 1 >/proc/sys/net/ipv4/ip_forward");
	attach_sink(bench, rig, RIG_INET, "inet0");
}

void rig_new_generator(struct bench *bench, struct rig *rig)
{
	new_namespaces(bench, rig);
	attach_sink(bench, rig, RIG_GATEWAY, BENCH_ACCESS);
}

void rig_free(struct rig *rig)
{
	for (int i = 0; i < RIG_NAMESPACES; i++)
		close(rig->ns[i]);
}

struct rig_sample rig_send(struct bench *bench, const struct rig *rig, uint32_t subscribers, uint16_t port,
			   uint16_t ports, uint32_t packets)
{
	static const struct bench_traffic fixed = {
		.first_address = BENCH_FIRST_ADDRESS,
		.destination = BENCH_DESTINATION,
		.from = {2, 0, 0, 0, 1, 2},
		.to = {2, 0, 0, 0, 1, 1},
	};
	unsigned char frame[BENCH_FRAME] = {0};
	struct bench_traffic *traffic = &bench->programs->bss->traffic;
	struct rig_sample sample = {.sent = packets};
	uint64_t before;
	int error;
	LIBBPF_OPTS(bpf_test_run_opts, run_opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = (int)packets, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	*traffic = fixed;
	traffic->device = rig->ue_device;
	traffic->subscribers = subscribers;
	traffic->first_port = port;
	traffic->ports = ports;
	rig_enter(bench, rig, RIG_UE);
	before = bench->programs->bss->arrived;
	sample.cpu_ns = cpu_time_ns(bench);
	error = bpf_prog_test_run_opts(bpf_program__fd(bench->programs->progs.generate), &run_opts);
	sample.cpu_ns = cpu_time_ns(bench) - sample.cpu_ns;
	rig_leave(bench);
	if (error)
		bench_die("generator: %s", strerror(-error));
	sample.arrived = bench->programs->bss->arrived - before;
	return sample;
}
