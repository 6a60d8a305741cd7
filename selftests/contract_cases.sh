#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every case of the session-manager contract has exactly one place: a file of
# selftests/cases that begins with its number, or the reason in
# selftests/cases/contract/cases.yaml why there is none. docs/conformance.md
# has a line for each.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"
exec /usr/bin/python3 - <<'END'
import glob
import os
import re
import sys

import yaml

# as the contract numbers them; the gaps are its own
NUMBERS = {"C": (1, 2, 4, 6, 7, 9, 11, 12, 14, 17), "S": (1, 2, 3, 4, 5, 8, 9, 10), "R": (1, 2, 6, 7, 8, 9, 11),
           "P": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15), "M": (1, 2, 4, 7),
           "Q": (*range(1, 14), 21), "D": (*range(1, 7), *range(10, 20)), "G": range(1, 11)}
CONTRACT = ["%s%02d" % (letter, number) for letter, numbers in NUMBERS.items() for number in numbers]

wrong = []
with open("selftests/cases/contract/cases.yaml") as file:
    listed = yaml.safe_load(file)
files = {}
for path in sorted(glob.glob("selftests/cases/*.yaml")):
    number = re.match(r"([A-Z]\d\d)-", os.path.basename(path))
    if number:
        files.setdefault(number[1], []).append(os.path.basename(path))
with open("docs/conformance.md") as file:
    page = re.findall(r"^\| ([A-Z]\d\d)\b", file.read(), re.MULTILINE)

for number in CONTRACT:
    if number not in listed:
        wrong.append("%s: not in selftests/cases/contract/cases.yaml" % number)
        continue
    here, reason = files.get(number, []), listed[number].get("not_ours")
    if not listed[number].get("says"):
        wrong.append("%s: does not say what it is" % number)
    if reason and here:
        wrong.append("%s: not ours (%s), and yet there is %s" % (number, reason, here[0]))
    if not reason and len(here) != 1:
        wrong.append("%s: %d files, not one: %s" % (number, len(here), " ".join(here)))
    if page.count(number) != 1:
        wrong.append("%s: %d lines in docs/conformance.md, not one" % (number, page.count(number)))
for number in sorted((set(listed) | set(files) | set(page)) - set(CONTRACT)):
    wrong.append("%s: no case of the contract" % number)
for line in wrong:
    print(line)
if wrong:
    sys.exit("contract_cases: %d wrong" % len(wrong))
print("%d cases of the contract: %d files, %d not an agent's" % (
    len(CONTRACT), len(files), sum("not_ours" in one for one in listed.values())))
END
