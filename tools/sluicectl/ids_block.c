// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ids.h"
#include "output.h"
#include "sluice/v1/admin.pb-c.h"

struct subjects {
	char **list;
	size_t count;
};

static void subjects_clear(struct subjects *subjects)
{
	for (size_t i = 0; i < subjects->count; i++)
		free(subjects->list[i]);
	free(subjects->list);
}

static int add(struct subjects *subjects, const char *text)
{
	if (subjects->count == IDS_SUBJECTS)
		return ctl_error(CTL_USAGE, "ids: more than %d subjects", IDS_SUBJECTS);
	if (!subjects->list)
		subjects->list = calloc(IDS_SUBJECTS, sizeof(*subjects->list));
	if (!subjects->list || !(subjects->list[subjects->count] = strdup(text)))
		return ctl_error(CTL_REFUSED, "out of memory");
	subjects->count++;
	return CTL_OK;
}

/* A line without its comment and the blanks around it. */
static char *trim(char *line)
{
	size_t length;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	length = strlen(line);
	while (length && (line[length - 1] == ' ' || line[length - 1] == '\t'))
		line[--length] = '\0';
	return line;
}

static int read_file(const char *path, struct subjects *subjects)
{
	_cleanup_file_ FILE *opened = strcmp(path, "-") == 0 ? NULL : fopen(path, "re");
	FILE *file = opened ? opened : stdin;
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int ret = CTL_OK;

	if (!opened && strcmp(path, "-") != 0)
		return ctl_error(CTL_USAGE, "%s: %s", path, strerror(errno));
	while (ret == CTL_OK && getline(&line, &size, file) >= 0) {
		const char *text = trim(line);

		if (*text)
			ret = add(subjects, text);
	}
	if (ret == CTL_OK && ferror(file))
		return ctl_error(CTL_USAGE, "%s: cannot be read", path);
	return ret;
}

static int read_words(const struct ids_verb *verb, struct subjects *subjects)
{
	char text[IDS_SUBJECT_SIZE] = "";
	size_t length = 0;

	for (int i = 0; i < verb->word_count && length < sizeof(text); i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i ? " " : "",
					   verb->words[i]);
	if (length >= sizeof(text))
		return ctl_error(CTL_USAGE, "ids: the subject is longer than %d bytes", IDS_SUBJECT_SIZE - 1);
	return add(subjects, text);
}

static int read_subjects(const struct ids_verb *verb, struct subjects *out)
{
	if (!!verb->file + !!verb->word_count + !!verb->number != 1)
		return ctl_error(
			CTL_USAGE,
			"ids: a subject, or -f FILE, or for unblock --number N, and one of them only");
	if (verb->number)
		return CTL_OK;
	return verb->file ? read_file(verb->file, out) : read_words(verb, out);
}

static int tell(struct ctl *ctl, const char *path, const ProtobufCMessage *request, const char *what)
{
	ProtobufCMessage *answer;
	uint32_t count;
	int ret = ids_call(ctl, path, request, &sluice__v1__ids_block_result__descriptor, &answer);

	if (ret != CTL_OK)
		return ret;
	count = ((const Sluice__V1__IdsBlockResult *)answer)->blocks;
	if (ctl->json)
		output_print(output_message(answer));
	else
		printf("%u block%s %s\n", count, output_plural(count), what);
	protobuf_c_message_free_unpacked(answer, NULL);
	return CTL_OK;
}

int ids_block(struct ctl *ctl, const struct ids_verb *verb)
{
	_cleanup_(subjects_clear) struct subjects subjects = {.count = 0};
	Sluice__V1__IdsBlockRequest request = SLUICE__V1__IDS_BLOCK_REQUEST__INIT;
	int ret = verb->number ? ctl_error(CTL_USAGE, "ids: --number is for unblock")
			       : read_subjects(verb, &subjects);

	if (ret != CTL_OK)
		return ret;
	if (verb->extend && !verb->idle_ms)
		return ctl_error(CTL_USAGE, "ids: --extend without --idle, which it would extend");
	request.subjects = subjects.list;
	request.n_subjects = subjects.count;
	request.hard_ms = verb->hard_ms;
	request.idle_ms = verb->idle_ms;
	request.extend = verb->extend;
	request.reason = verb->reason;
	return tell(ctl, "/sluice.v1.Admin/IdsBlock", &request.base, "made");
}

int ids_unblock(struct ctl *ctl, const struct ids_verb *verb)
{
	_cleanup_(subjects_clear) struct subjects subjects = {.count = 0};
	Sluice__V1__IdsUnblockRequest request = SLUICE__V1__IDS_UNBLOCK_REQUEST__INIT;
	uint64_t number = verb->number;
	int ret = read_subjects(verb, &subjects);

	if (ret != CTL_OK)
		return ret;
	request.subjects = subjects.list;
	request.n_subjects = subjects.count;
	request.numbers = &number;
	request.n_numbers = number != 0;
	return tell(ctl, "/sluice.v1.Admin/IdsUnblock", &request.base, "ended");
}
