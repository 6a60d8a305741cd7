/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator gives an APN: a VLAN or an interface on the networks' side,
 * a rate of all its sessions together, what of it may be guaranteed.
 *
 * An APN has a number, from 1 on, which policies, marks and the fixed meters
 * name. It is not the place in the configuration: an APN that was there before
 * a restart keeps its number, so that what is in the kernel never means another.
 */
#ifndef SL_CONTROL_APN_H
#define SL_CONTROL_APN_H

#include <stdint.h>

#include "policy/address.h"
#include "sluice/limits.h"
#include "sluice/verdict.h"

struct sl_control;

struct sl_control_apn {
	char name[SLUICE_APN_SIZE]; /* of sessions, compared without case (3GPP TS 23.003 clause 9.1) */
	uint32_t vlan;		    /* pushed on core devices, 1 to 4094; 0: none */
	char interface[16];	    /* its uplink goes out there, not routed; "": as routed */
	/*
	 * On that interface, IPv4 and IPv6; family 0: none. IPv4 takes the IPv6 one where
	 * it has none. With neither the frame goes as it is.
	 */
	struct sl_address next_hop[2];
	/* Who on core devices is in that VLAN: ARP and ND for them is tagged. No two VLANs have the same. */
	struct sl_address neighbours[SLUICE_APN_NEIGHBOURS];
	uint32_t neighbour_count;	     /* 0 without a VLAN */
	uint64_t cap[SLUICE_DIRECTIONS];     /* bit/s of all its sessions; 0: none */
	uint64_t reserve[SLUICE_DIRECTIONS]; /* bit/s that GBRs may take; UINT64_MAX: as the link has */
};

/* 0: no APN of that name is in the configuration, as for a session without one. */
uint8_t sl_apn_number(const struct sl_control *control, const char *name);
/* NULL: no APN has this number. */
const struct sl_control_apn *sl_apn(const struct sl_control *control, uint8_t number);

#endif
