#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# XDP never charges, and drops only what is known to be used up.
exec bash "$(dirname "$0")/72_Q11_a_quota_stops_at_the_byte_and_leads_to_the_top_up_page.sh" xdp
