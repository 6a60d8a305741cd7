#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# XDP leaves to tc what needs a socket or an answer.
exec bash "$(dirname "$0")/60_redirected_web_traffic_meets_the_portal.sh" xdp
