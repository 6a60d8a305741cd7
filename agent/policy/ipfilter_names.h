/* SPDX-License-Identifier: Apache-2.0 */
/* Words of IPFilterRule that its parser and its formatter share. */
#ifndef SL_POLICY_IPFILTER_NAMES_H
#define SL_POLICY_IPFILTER_NAMES_H

/* Entry n names bit n of a struct sl_ipfilter_spec. NULL ends each. */
extern const char *const sl_ipfilter_ip_option_names[];
extern const char *const sl_ipfilter_tcp_option_names[];
extern const char *const sl_ipfilter_tcp_flag_names[];

#endif
