// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel says about a network device. By ioctl and not /sys/class/net:
 * sysfs shows the devices of the namespace it was mounted in, which is not
 * always the one the agent runs in.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "datapath/internal.h"

#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519
#endif

static int link_layer(const char *name, unsigned short type, bool *ethernet, struct sl_error *err)
{
	switch (type) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		*ethernet = true;
		return 0;
	case ARPHRD_NONE:
	case ARPHRD_RAWIP:
	case ARPHRD_PPP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
		*ethernet = false;
		return 0;
	default:
		return sl_error(
			err, EOPNOTSUPP,
			"interface %s: its link layer (ARPHRD type %u) is neither Ethernet nor plain IP",
			name, type);
	}
}

int sl_device_read(const char *name, struct sl_device *out, struct sl_error *err)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct sl_device device = {0};
	struct ifreq request = {0};
	_cleanup_fd_ int fd = -1;
	int r;

	if (strlen(name) >= sizeof(device.name))
		return sl_error(err, EINVAL, "interface '%s': the name is longer than %zu characters", name,
				sizeof(device.name) - 1);
	memcpy(device.name, name, strlen(name));
	device.ifindex = if_nametoindex(name);
	if (device.ifindex == 0)
		return sl_error(err, ENODEV, "interface %s does not exist", name);

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return sl_error(err, errno, "interface %s: socket: %s", name, strerror(errno));
	memcpy(request.ifr_name, device.name, sizeof(device.name));
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return sl_error(err, errno, "interface %s: reading its type: %s", name, strerror(errno));
	r = link_layer(name, request.ifr_hwaddr.sa_family, &device.ethernet, err);
	if (r < 0)
		return r;

	request.ifr_data = (char *)&info;
	if (ioctl(fd, SIOCETHTOOL, &request) == 0) {
		info.driver[sizeof(info.driver) - 1] = '\0';
		memcpy(device.driver, info.driver, sizeof(device.driver));
		/* tun and tap write their own kind where others write the address on the bus */
		device.hardware = info.bus_info[0] && strcmp(info.driver, "tun") != 0;
	}
	*out = device;
	return 0;
}
