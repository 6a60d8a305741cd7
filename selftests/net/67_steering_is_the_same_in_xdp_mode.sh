#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# XDP leaves to tc what goes to another interface.
exec bash "$(dirname "$0")/64_a_rule_sends_packets_to_an_interface_of_its_own.sh" xdp
