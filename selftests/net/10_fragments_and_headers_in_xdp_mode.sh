#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The same in XDP mode.
exec bash "$(dirname "$0")/09_fragments_options_and_extension_headers_are_matched_right.sh" xdp
