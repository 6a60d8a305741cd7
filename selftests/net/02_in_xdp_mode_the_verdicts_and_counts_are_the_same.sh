#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Drops decided before an skb exists are counted once, not again at tc.
exec bash "$(dirname "$0")/01_permitted_traffic_passes_and_everything_else_is_dropped_and_counted.sh" xdp
