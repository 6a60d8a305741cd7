#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# XDP drops what a session's rules refuse and no more; IDS rules are asked at tc, about what it lets pass.
exec bash "$(dirname "$0")/84_a_flooding_xmpp_client_is_stopped_and_the_others_chat_on.sh" xdp
