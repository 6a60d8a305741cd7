# SPDX-License-Identifier: Apache-2.0
# The demo, and the container image that it can run through.

# make demo              three namespaces, real traffic, a table; fails if anything differs from the policy
# make demo KEEP=1       leaves it running and says how to look around
# make demo CONTAINER=1  the same agent through the image
# make demo XDP=1        datapath.mode xdp
.PHONY: demo
demo: deps $(if $(CONTAINER),image)
	@echo "demo: building"
	@$(MAKE) --no-print-directory -s -j2 all $(BUILD)/tools/send $(BUILD)/tools/sink
	@BUILD=$(BUILD) KEEP="$(KEEP)" CONTAINER="$(CONTAINER)" XDP="$(XDP)" tools/demo.sh

# make image             build/image/sluice.tar, an OCI archive; no registry is asked
.PHONY: image
image:
	@tools/deps.sh build image
	@$(MAKE) --no-print-directory -s -j2 all
	@BUILD=$(BUILD) VERSION=$(VERSION) tools/image.sh
