# SPDX-License-Identifier: Apache-2.0
# make verify: models of what many CPUs write at once, searched in full by Spin. A model that is
# made wrong on purpose must be found wrong: else the search proves nothing.

VERIFY := $(BUILD)/verify

.PHONY: verify
verify:
	@tools/deps.sh build verify
	@BUILD=$(BUILD) selftests/verify/run.sh
